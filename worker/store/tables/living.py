"""The table of signs of life."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class Heartbeat(SQLModel, table=True):
    """When something that must happen again and again last did, whichever process did it."""

    __tablename__ = "heartbeat"

    name: str = Field(primary_key=True)
    at: datetime
