"""The database: what is known of builds, events and requesters, in SQL."""
