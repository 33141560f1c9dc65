"""A storage backend in Python: records in a dictionary, in the component's own memory.

This file keeps records and knows no rules; `in_memory.py` adds what the contract asks of every backend.
"""

from wit_world.exports.lifecycle import Description, Instances

from in_memory import backend


class Records:
    """The records by key."""

    description = Description(
        name="example-py",
        version="0.1.0",
        instances=Instances.SINGLETON,
        durable=False,
        max_body_bytes=1 << 20,
        max_batch=1000,
    )

    def __init__(self):
        self.by_key = {}

    def get(self, key):
        return self.by_key.get((key.collection, key.id))

    def all(self):
        return self.by_key.values()

    def insert(self, record):
        key = record.draft.key
        self.by_key[key.collection, key.id] = record

    def remove(self, key):
        self.by_key.pop((key.collection, key.id), None)


# What the component exports.
Lifecycle, Store, Transfer = backend(Records)
