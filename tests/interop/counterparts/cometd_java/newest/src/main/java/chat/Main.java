package chat;

import java.util.ArrayList;
import java.util.List;
import org.cometd.bayeux.Promise;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.bayeux.server.ServerTransport;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.DefaultSecurityPolicy;
import org.cometd.server.ext.AcknowledgedMessagesExtension;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.ee11.servlet.ServletHolder;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ContextHandler;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/** The newest CometD that runs on Java 17, on Jetty 12.1. */
public final class Main implements Control.Faults {
    private static final String MAPPING = "/genesys/cometd/*";

    private final Options options;
    private final ChatService service;
    private int port;
    private Server server;
    private ServerConnector connector;
    private BayeuxServerImpl bayeux;

    private Main(Options options) {
        this.options = options;
        this.port = Integer.parseInt(options.get("port", "0"));
        this.service = new ChatService(
                "/service/chatV2/" + options.get("service", "customer-support"), options.get("refuse", null));
    }

    public static void main(String[] arguments) throws Exception {
        Main main = new Main(new Options(arguments));
        Options.endWithInput();
        main.start();
        int control = Control.start(main.service, main);
        System.out.println("READY " + main.port + " " + control);
        System.out.flush();
        Thread.currentThread().join();
    }

    private void start() throws Exception {
        server = new Server();
        connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        server.addConnector(connector);
        ContextHandler outer = new ContextHandler("/");
        // CometD's WebSocket transport looks for Jetty's container, which is there once the context starts.
        WebSocketUpgradeHandler upgrades = WebSocketUpgradeHandler.from(server, outer, container -> startBayeux());
        ServletContextHandler servlets = new ServletContextHandler("/");
        upgrades.setHandler(servlets);
        outer.setHandler(upgrades);
        server.setHandler(outer);

        bayeux = new BayeuxServerImpl();
        for (String name : new String[] {"timeout", "interval", "maxInterval"}) {
            if (options.get(name, null) != null) {
                bayeux.setOption(name, options.get(name, null));
            }
        }
        bayeux.setOption(Context.class.getName(), outer.getContext());
        bayeux.setOption("ws.cometdURLMapping", MAPPING);
        List<ServerTransport> transports = new ArrayList<>();
        if (Boolean.parseBoolean(options.get("websocket", "true"))) {
            transports.add(new JettyWebSocketTransport(bayeux));
        }
        transports.add(new JSONHttpTransport(bayeux));
        bayeux.setTransports(transports);
        if (Boolean.parseBoolean(options.get("ack", "true"))) {
            bayeux.addExtension(new AcknowledgedMessagesExtension());
        }
        if (Boolean.parseBoolean(options.get("refuseHandshake", "false"))) {
            bayeux.setSecurityPolicy(new DefaultSecurityPolicy() {
                @Override
                public boolean canHandshake(BayeuxServer bayeux, ServerSession session, ServerMessage message) {
                    return false;
                }
            });
        }
        servlets.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);
        ServletHolder holder = new ServletHolder(CometDServlet.class);
        holder.setAsyncSupported(true);
        servlets.addServlet(holder, MAPPING);
        server.start();
        port = connector.getLocalPort();
        service.attachTo((session, channel, data) -> session.deliver(null, channel, data, Promise.noop()));
        bayeux.createChannelIfAbsent(service.channel(), channel -> {
            channel.setPersistent(true);
            channel.addListener(new ServerChannel.MessageListener() {
                @Override
                public boolean onMessage(ServerSession from, ServerChannel to, ServerMessage.Mutable message) {
                    service.onPublish(from, message.getDataAsMap());
                    return true;
                }
            });
        });
    }

    private void startBayeux() {
        try {
            bayeux.start();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void forget() {
        for (ServerSession session : new ArrayList<>(bayeux.getSessions())) {
            session.disconnect();
        }
    }

    @Override
    public void drop() {
        for (EndPoint point : new ArrayList<>(connector.getConnectedEndPoints())) {
            point.close();
        }
    }

    @Override
    public void restart() throws Exception {
        server.setStopTimeout(0);
        drop();
        server.stop();
        start();
    }
}
