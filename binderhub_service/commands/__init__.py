"""The program: serving, and what is done beside the service."""
