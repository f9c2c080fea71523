"""Uploads the one file of a folder as Google's client does that by itself."""

import os
import sys
from pathlib import Path

from google.cloud.storage import Client

bucket = Client(project=os.environ["SPARKLES_PROJECT"]).bucket(os.environ["SPARKLES_BUCKET"])
for path in Path(sys.argv[1]).iterdir():
    bucket.blob(path.name).upload_from_filename(path)
