"""In-memory gateways: the embedded default, and what the simulation runs on.

First-class code: the contract suite holds them to what the real gateways do.
"""

from shared.gateways.memory.blobs import MemoryBlobs
from shared.gateways.memory.documents import MemoryDocuments
from shared.gateways.memory.secrets import MemorySecrets
from shared.gateways.memory.smtp import MemoryRelay
from shared.gateways.memory.topics import MemoryTopics

__all__ = [
    "MemoryBlobs",
    "MemoryDocuments",
    "MemoryRelay",
    "MemorySecrets",
    "MemoryTopics",
]
