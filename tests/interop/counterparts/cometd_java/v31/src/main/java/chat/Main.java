package chat;

import java.util.ArrayList;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import org.cometd.server.CometDServlet;
import org.cometd.server.DefaultSecurityPolicy;
import org.cometd.server.ext.AcknowledgedMessagesExtension;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.jetty.websocket.jsr356.server.deploy.WebSocketServerContainerInitializer;

/** CometD 3.1 on Jetty 9.4. */
public final class Main implements Control.Faults {
    private final Options options;
    private final ChatService service;
    private int port;
    private Server server;
    private ServerConnector connector;
    private BayeuxServer bayeux;

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
        ServletContextHandler context = new ServletContextHandler(server, "/");
        ServletHolder holder = new ServletHolder(CometDServlet.class);
        if (Boolean.parseBoolean(options.get("websocket", "true"))) {
            WebSocketServerContainerInitializer.configureContext(context);
        } else {
            holder.setInitParameter("transports", "org.cometd.server.transport.AsyncJSONTransport");
        }
        holder.setAsyncSupported(true);
        holder.setInitOrder(1);
        for (String name : new String[] {"timeout", "interval", "maxInterval"}) {
            if (options.get(name, null) != null) {
                holder.setInitParameter(name, options.get(name, null));
            }
        }
        holder.setInitParameter("ws.cometdURLMapping", "/genesys/cometd/*");
        context.addServlet(holder, "/genesys/cometd/*");
        server.start();
        port = connector.getLocalPort();
        bayeux = (BayeuxServer) context.getServletContext().getAttribute(BayeuxServer.ATTRIBUTE);
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
        service.attachTo((session, channel, data) -> session.deliver(null, channel, data));
        bayeux.createChannelIfAbsent(service.channel(), channel -> {
            channel.setPersistent(true);
            channel.addListener((ServerChannel.MessageListener) (from, to, message) -> {
                service.onPublish(from, message.getDataAsMap());
                return true;
            });
        });
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
