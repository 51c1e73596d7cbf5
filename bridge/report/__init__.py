"""What the bridge tells others about itself and its jobs: monitors, and people who are to help."""
