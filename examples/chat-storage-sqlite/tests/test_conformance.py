from chat_core.testing import PackagingConformance, StorageConformance


class TestSqlite(StorageConformance):
    provider = "sqlite"

    def options(self, folder):
        return {"path": str(folder / "chats.db")}


class TestPackage(PackagingConformance):
    provider = "sqlite"
