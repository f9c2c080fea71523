"""The backend in Google Cloud: state in Datastore, files in Cloud Storage."""
