from chat_core.testing import PackagingConformance, StorageConformance


class TestAcme(StorageConformance):
    provider = "acme"

    def options(self, folder):
        return {"path": str(folder / "states.json")}


class TestPackage(PackagingConformance):
    provider = "acme"
