"""The bridge: jobs come in through one door, become durable, become printer bytes, and are delivered once."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("print-bridge")
except PackageNotFoundError:  # run from a bare checkout
    VERSION = "0+unknown"
