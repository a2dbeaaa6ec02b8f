package chat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import org.eclipse.jetty.util.ajax.JSON;

/** The test's way in: the agents and the faults, over HTTP on a port of its own. */
final class Control {
    /** What the server can do to its clients. */
    interface Faults {
        void forget();

        void drop() throws Exception;

        void restart() throws Exception;
    }

    private Control() {
    }

    static int start(ChatService service, Faults faults) throws IOException {
        HttpServer http = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        http.setExecutor(Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        }));
        http.createContext("/", exchange -> {
            try {
                answer(exchange, 200, handle(service, faults, exchange));
            } catch (Exception e) {
                answer(exchange, 500, Map.of("error", String.valueOf(e)));
            }
        });
        http.start();
        return http.getAddress().getPort();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> handle(ChatService service, Faults faults, HttpExchange exchange) throws Exception {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        Map<String, Object> data = body.isEmpty() ? new HashMap<>() : (Map<String, Object>) new JSON().fromJSON(body);
        String[] path = exchange.getRequestURI().getPath().split("/");
        if ("next".equals(path[1])) {
            Chat chat = service.next(10);
            if (chat == null) {
                throw new IllegalStateException("no chat began");
            }
            return Map.of("id", chat.id);
        }
        if ("fault".equals(path[1])) {
            switch (path[2]) {
                case "forget" -> faults.forget();
                case "drop" -> faults.drop();
                case "restart" -> faults.restart();
                case "refuse" -> service.refuse = (String) data.get("refuse");
                default -> throw new IllegalArgumentException(path[2]);
            }
            return Map.of();
        }
        Chat chat = service.chat(path[2]);
        if ("events".equals(path[3])) {
            synchronized (chat) {
                List<Object> events = new ArrayList<>(chat.events);
                Map<String, Object> answer = new LinkedHashMap<>();
                answer.put("events", events);
                answer.put("ended", chat.ended);
                answer.put("userData", new HashMap<>(chat.userData));
                return answer;
            }
        }
        service.agent(chat, path[3], data);
        return Map.of();
    }

    private static void answer(HttpExchange exchange, int status, Map<String, Object> data) throws IOException {
        byte[] bytes = new JSON().toJSON(data).getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }
}
