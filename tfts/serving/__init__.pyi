from tfts.serving.client import Client as Client
from tfts.serving.errors import ServingError as ServingError
from tfts.serving.exporting import export as export
from tfts.serving.server import Server as Server
from tfts.serving.verification import verify as verify
