"""The schema, as numbered migrations. A released migration is never edited; a change is a new one at the end.

What a label waits for is the number of pages one commit has to write, so each table a job touches is one tree: a job's
serial is the seq of the event that told of its creation (seq only grows, and the newest event is never deleted), bodies
and attempts are keyed by it, and a job carries its own timeline in `history`, a line of JSON for each change of state.
"""

from __future__ import annotations

FIRST = """
CREATE TABLE organizations (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_at REAL NOT NULL
);
CREATE TABLE clients (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations(id),
  hostname TEXT NOT NULL,
  ip_address TEXT,
  description TEXT,
  last_seen REAL,
  created_at REAL NOT NULL,
  is_self INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE devices (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations(id),
  client_id TEXT NOT NULL REFERENCES clients(id),
  name TEXT NOT NULL,
  device_type INTEGER NOT NULL DEFAULT 1,
  hardware_path TEXT,
  additional_info TEXT,
  created_at REAL NOT NULL,
  from_config INTEGER NOT NULL DEFAULT 0,
  paused INTEGER NOT NULL DEFAULT 0,
  pause_reason TEXT,
  closings INTEGER NOT NULL DEFAULT 0,
  left_open INTEGER NOT NULL DEFAULT 0,
  UNIQUE (client_id, name)
);
CREATE TABLE jobs (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  device_name TEXT NOT NULL,
  dialect TEXT NOT NULL,
  key_id TEXT,
  job_type INTEGER NOT NULL DEFAULT 1,
  title TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  text TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  evidence TEXT,
  declared TEXT,
  kind TEXT,
  url TEXT,
  size INTEGER,
  sha256 TEXT,
  copies INTEGER NOT NULL DEFAULT 1,
  priority INTEGER NOT NULL DEFAULT 0,
  options TEXT NOT NULL DEFAULT '{}',
  payload TEXT,
  launch INTEGER NOT NULL DEFAULT 0,
  queued_seq INTEGER NOT NULL DEFAULT 0,
  pages INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  possible_duplicate INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  account TEXT,
  external_id TEXT,
  history TEXT NOT NULL DEFAULT ''
);
CREATE INDEX jobs_of_device ON jobs (device_id, state);
CREATE UNIQUE INDEX jobs_external ON jobs (account, external_id, launch) WHERE external_id IS NOT NULL;
CREATE TABLE bodies (
  job_serial INTEGER PRIMARY KEY,
  data BLOB NOT NULL
);
CREATE TABLE idempotency (
  organization_id TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  job_id TEXT NOT NULL,
  created_at REAL NOT NULL,
  PRIMARY KEY (organization_id, key)
);
CREATE TABLE attempts (
  job_serial INTEGER NOT NULL,
  number INTEGER NOT NULL,
  launch INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  copies INTEGER NOT NULL,
  pages INTEGER,
  bytes_total INTEGER,
  sha256 TEXT,
  possible_duplicate INTEGER NOT NULL DEFAULT 0,
  started_at REAL NOT NULL,
  ended_at REAL,
  bytes_sent INTEGER,
  result TEXT,
  evidence TEXT,
  text TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_serial, number)
) WITHOUT ROWID;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  organization_id TEXT NOT NULL,
  job_id TEXT,
  device_id TEXT,
  kind TEXT NOT NULL,
  state TEXT,
  text TEXT NOT NULL DEFAULT ''
);
CREATE TABLE keys (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations(id),
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  origins TEXT NOT NULL DEFAULT '',
  from_config INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  revoked_at REAL
);
"""

SECOND = """
ALTER TABLE jobs ADD COLUMN expires_at REAL;
ALTER TABLE jobs ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN reprint_of TEXT;
ALTER TABLE jobs ADD COLUMN document_gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN settings TEXT;
DROP INDEX jobs_of_device;
CREATE INDEX jobs_of_device ON jobs (organization_id, state, device_id);
CREATE TABLE made (
  organization_id TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  noun TEXT NOT NULL,
  id TEXT NOT NULL,
  created_at REAL NOT NULL,
  PRIMARY KEY (organization_id, key)
);
"""

THIRD = """
ALTER TABLE devices ADD COLUMN talk TEXT;
ALTER TABLE keys ADD COLUMN raw TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN drawer INTEGER;
ALTER TABLE jobs ADD COLUMN grants TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN counter INTEGER;
"""

FOURTH = """
ALTER TABLE organizations ADD COLUMN parent_id TEXT;
ALTER TABLE organizations ADD COLUMN plan TEXT;
ALTER TABLE organizations ADD COLUMN jobs_quota INTEGER;
ALTER TABLE organizations ADD COLUMN jobs_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN disabled_at REAL;
CREATE TABLE users (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations(id),
  email TEXT,
  name TEXT NOT NULL,
  password TEXT,
  role TEXT NOT NULL DEFAULT 'user',
  pin TEXT,
  id_code TEXT,
  expires_at REAL,
  created_at REAL NOT NULL,
  disabled_at REAL
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE TABLE groups (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations(id),
  name TEXT NOT NULL,
  external_id TEXT,
  created_at REAL NOT NULL,
  UNIQUE (organization_id, name)
);
CREATE TABLE group_members (
  group_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  PRIMARY KEY (group_id, user_id)
);
CREATE TABLE cards (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  salt TEXT NOT NULL,
  hash TEXT NOT NULL,
  created_at REAL NOT NULL
);
CREATE TABLE shares (
  device_id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  created_at REAL NOT NULL,
  PRIMARY KEY (device_id, organization_id)
);
ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN user_id TEXT;
ALTER TABLE keys ADD COLUMN expires_at REAL;
ALTER TABLE clients ADD COLUMN os TEXT;
ALTER TABLE clients ADD COLUMN version TEXT;
ALTER TABLE devices ADD COLUMN reported TEXT;
ALTER TABLE jobs ADD COLUMN user_id TEXT;
ALTER TABLE events ADD COLUMN client_id TEXT;
CREATE TABLE webhooks (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL,
  dialect TEXT NOT NULL,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  text TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL
);
CREATE TABLE deliveries (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  webhook_id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  job_id TEXT,
  type TEXT NOT NULL,
  event_seq INTEGER,
  body BLOB NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL,
  status INTEGER,
  text TEXT NOT NULL DEFAULT '',
  created_at REAL NOT NULL,
  ended_at REAL
);
CREATE INDEX deliveries_next ON deliveries (state, next_at);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, job_id, state);
CREATE TABLE cursors (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
);
"""

FIFTH = """
ALTER TABLE clients ADD COLUMN connected INTEGER NOT NULL DEFAULT 0;
CREATE INDEX keys_of_user ON keys (user_id) WHERE user_id IS NOT NULL;
"""

MIGRATIONS = [FIRST, SECOND, THIRD, FOURTH, FIFTH]
