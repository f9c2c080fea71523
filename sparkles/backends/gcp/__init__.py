"""The backend of Google Cloud."""
