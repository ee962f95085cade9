"""Launches: who a person is for the hub, and which server is started for them, by the hub's REST API."""
