package chat;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArraySet;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.cometd.bayeux.server.ServerSession;

/** GMS Chat v2 on one service channel, written from the protocol page and from nothing of the client's. */
final class ChatService {
    /** What differs between the generations of CometD. */
    interface Delivery {
        void deliver(ServerSession session, String channel, Object data);
    }

    private final String channel;
    private final Map<String, Chat> byKey = new ConcurrentHashMap<>();
    private final Map<String, Chat> byId = new ConcurrentHashMap<>();
    private final Map<Chat, Set<ServerSession>> attached = new ConcurrentHashMap<>();
    private final Map<Chat, Map<String, Object>> agents = new ConcurrentHashMap<>();
    private final LinkedBlockingQueue<Chat> fresh = new LinkedBlockingQueue<>();
    private volatile Delivery delivery;
    volatile String refuse;

    ChatService(String channel, String refuse) {
        this.channel = channel;
        this.refuse = refuse;
    }

    String channel() {
        return channel;
    }

    /** A new server of the same chats: Bayeux sessions of the old one are gone. */
    void attachTo(Delivery delivery) {
        this.delivery = delivery;
        attached.values().forEach(Set::clear);
    }

    void onPublish(ServerSession session, Map<String, Object> data) {
        String operation = text(data.get("operation"));
        if ("requestChat".equals(operation)) {
            requestChat(session, data);
            return;
        }
        Chat chat = byKey.getOrDefault(text(data.get("secureKey")), null);
        if (chat == null) {
            send(session, error(249, "The media server could not run the request. referenceId[10010001]", true));
            return;
        }
        synchronized (chat) {
            if ("requestNotifications".equals(operation)) {
                attached.get(chat).add(session);
                send(session, chat.transcript(number(data.get("transcriptPosition"))));
            } else if (chat.ended) {
                send(session, error(249, "The media server could not run the request. referenceId[10010001]", true));
            } else {
                command(session, chat, operation, data);
            }
        }
    }

    private void requestChat(ServerSession session, Map<String, Object> data) {
        if (refuse != null) {
            String[] parts = refuse.split(":", 2);
            send(session, error(Integer.parseInt(parts[0]), parts[1], false));
            return;
        }
        Chat chat = new Chat(text(data.get("nickname")));
        if (data.get("userData") instanceof Map<?, ?> given) {
            given.forEach((key, value) -> chat.userData.put(String.valueOf(key), value));
        }
        attached.put(chat, new CopyOnWriteArraySet<>(Set.of(session)));
        byKey.put(chat.secureKey, chat);
        byId.put(chat.id, chat);
        synchronized (chat) {
            add(chat, "ParticipantJoined", chat.visitor, null, null);
        }
        fresh.add(chat);
    }

    private void command(ServerSession session, Chat chat, String operation, Map<String, Object> data) {
        String message = text(data.get("message"));
        switch (operation) {
            case "sendMessage" -> add(chat, "Message", chat.visitor, message, text(data.get("messageType")));
            case "startTyping" -> add(chat, "TypingStarted", chat.visitor, message, null);
            case "stopTyping" -> add(chat, "TypingStopped", chat.visitor, message, null);
            case "customNotice" -> add(chat, "CustomNotice", chat.visitor, message, null);
            case "pushUrl" -> add(chat, "PushUrl", chat.visitor, text(data.get("pushUrl")), null);
            case "updateNickname" -> {
                chat.visitor.put("nickname", text(data.get("nickname")));
                add(chat, "NicknameUpdated", chat.visitor, text(data.get("nickname")), null);
            }
            case "updateData" -> {
                if (data.get("userData") instanceof Map<?, ?> given) {
                    given.forEach((key, value) -> chat.userData.put(String.valueOf(key), value));
                }
                send(session, chat.envelope(List.of()));
            }
            case "disconnect" -> {
                chat.ended = true;
                add(chat, "ParticipantLeft", chat.visitor, null, null);
            }
            default -> send(session, error(100, "unknown operation " + operation, false));
        }
    }

    /** Waits for the next chat; null when none begins in time. */
    Chat next(long seconds) throws InterruptedException {
        return fresh.poll(seconds, TimeUnit.SECONDS);
    }

    Chat chat(String id) {
        return byId.get(id);
    }

    void agent(Chat chat, String action, Map<String, Object> body) {
        synchronized (chat) {
            Map<String, Object> agent = agents.get(chat);
            switch (action) {
                case "join" -> {
                    agent = chat.party(text(body.getOrDefault("name", "Agent")), "Agent");
                    agents.put(chat, agent);
                    add(chat, "ParticipantJoined", agent, null, null);
                }
                case "say" -> add(chat, "Message", agent, text(body.get("text")), "text");
                case "burst" -> {
                    for (int i = 0; i < number(body.get("n")); i++) {
                        add(chat, "Message", agent, i + " " + "x".repeat(60), "text");
                    }
                }
                case "typing" -> add(
                        chat, Boolean.FALSE.equals(body.get("typing")) ? "TypingStopped" : "TypingStarted", agent, null, null);
                case "notice" -> add(chat, "Notice", agent, text(body.get("text")), null);
                case "leave" -> add(chat, "ParticipantLeft", agent, null, null);
                case "end" -> {
                    chat.ended = true;
                    add(chat, "ParticipantLeft", agent == null ? chat.visitor : agent, null, null);
                }
                default -> throw new IllegalArgumentException(action);
            }
        }
    }

    private void add(Chat chat, String type, Map<String, Object> from, String text, String messageType) {
        Map<String, Object> event = chat.add(type, from, text, messageType);
        Map<String, Object> envelope = chat.envelope(List.of(event));
        for (ServerSession session : attached.get(chat)) {
            send(session, envelope);
        }
    }

    private void send(ServerSession session, Map<String, Object> envelope) {
        if (session.isConnected() || session.isHandshook()) {
            delivery.deliver(session, channel, envelope);
        }
    }

    private static Map<String, Object> error(int code, String advice, boolean ended) {
        return Map.of(
                "statusCode", 2, "chatEnded", ended, "messages", List.of(),
                "errors", List.of(Map.of("code", code, "advice", advice)));
    }

    private static String text(Object value) {
        return value == null ? "" : String.valueOf(value);
    }

    private static int number(Object value) {
        try {
            return value == null ? 0 : Integer.parseInt(String.valueOf(value));
        } catch (NumberFormatException e) {
            return 0;
        }
    }
}
