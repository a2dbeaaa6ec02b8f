from server import ORIGIN, Service

from chat_core.testing import PackagingConformance, TransportConformance


class Harness(Service):
    options = {"deployment_id": "d-1", "origin": ORIGIN}
    disable_websockets = False
    patience = 10.0

    def chats(self):
        return len(self.opened)

    def heard(self):
        return self.texts

    def over(self):
        return self.opened[-1] not in self.said

    def secrets(self):
        return [self.opened[-1]]

    def cut(self):
        self.status = 503
        super().cut()

    def mend(self):
        self.status = None

    def refuse_start(self):
        self.instead = [{"class": "string", "code": 404, "body": "no such deployment"}]
        return 404

    def refuse_next(self):
        self.instead = [{"class": "string", "code": 4011, "body": "message too long"}]
        return 4011

    def lose_answer(self):
        self.cut_after_message = True


class TestWebMessaging(TransportConformance):
    provider = "webmessaging"
    harness = Harness


class TestPackage(PackagingConformance):
    provider = "webmessaging"
