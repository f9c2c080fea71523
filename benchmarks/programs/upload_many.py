"""Uploads the files of a folder as Google's client does that by itself, with as many threads as it takes."""

import os
import sys
from pathlib import Path

from google.cloud.storage import Client, transfer_manager

bucket = Client(project=os.environ["SPARKLES_PROJECT"]).bucket(os.environ["SPARKLES_BUCKET"])
names = [path.name for path in Path(sys.argv[1]).iterdir()]
transfer_manager.upload_many_from_filenames(
    bucket, names, source_directory=sys.argv[1], worker_type=transfer_manager.THREAD, raise_exception=True
)
