import pytest
import redis

from chat_core.testing import PackagingConformance, StorageConformance


class TestRedis(StorageConformance):
    provider = "redis"

    @pytest.fixture(autouse=True)
    def _on_a_server_of_its_own(self, server):
        self.options = {"url": server.url}

    def damage(self, folder):
        with redis.from_url(self.options["url"]) as client:
            for key in client.scan_iter("chat-core:conformance-*"):
                client.set(key, client.get(key)[:-1])


class TestPackage(PackagingConformance):
    provider = "redis"
