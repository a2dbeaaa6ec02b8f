package chat;

import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One conversation: keys, parties and the transcript. Guarded by itself. */
final class Chat {
    private static final SecureRandom RANDOM = new SecureRandom();

    final String id = hex(8);
    final String userId = hex(8);
    final String secureKey = key();
    final String alias = "117";
    final List<Map<String, Object>> events = new ArrayList<>();
    final Map<String, Object> userData = new HashMap<>();
    final Map<String, Object> visitor;
    boolean ended;
    private int parties;

    Chat(String nickname) {
        visitor = party(nickname, "Client");
    }

    Map<String, Object> party(String nickname, String type) {
        Map<String, Object> party = new LinkedHashMap<>();
        party.put("nickname", nickname);
        party.put("participantId", ++parties);
        party.put("type", type);
        return party;
    }

    Map<String, Object> add(String type, Map<String, Object> from, String text, String messageType) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("from", new LinkedHashMap<>(from));
        event.put("index", events.size() + 1);
        event.put("type", type);
        event.put("utcTime", System.currentTimeMillis());
        if (text != null) {
            event.put("text", text);
        }
        if (messageType != null) {
            event.put("messageType", messageType);
        }
        events.add(event);
        return event;
    }

    Map<String, Object> envelope(List<Map<String, Object>> messages) {
        Map<String, Object> envelope = new LinkedHashMap<>();
        envelope.put("messages", messages);
        envelope.put("chatEnded", ended);
        envelope.put("statusCode", 0);
        envelope.put("alias", alias);
        envelope.put("secureKey", secureKey);
        envelope.put("userId", userId);
        envelope.put("chatId", id);
        envelope.put("nextPosition", events.size() + 1);
        return envelope;
    }

    Map<String, Object> transcript(int position) {
        int from = Math.min(Math.max(position, 1) - 1, events.size());
        return envelope(new ArrayList<>(events.subList(from, events.size())));
    }

    private static String hex(int bytes) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < bytes; i++) {
            text.append(String.format("%02X", RANDOM.nextInt(256)));
        }
        return text.toString();
    }

    private static String key() {
        byte[] bytes = new byte[72];
        RANDOM.nextBytes(bytes);
        return Base64.getEncoder().encodeToString(bytes);
    }
}
