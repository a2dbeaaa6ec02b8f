import shutil

import pytest
import redis

from chat_core.testing import PackagingConformance, StorageConformance

if shutil.which("redis-server") is None:
    pytest.skip("redis-server is not installed (Debian: redis-server)", allow_module_level=True)


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
