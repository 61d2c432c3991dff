import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Reference: the logic of the legacy server. A thread for each connection reads lines and parses a DOM for each heartbeat, a
 * hash map under one lock keeps the users, and a scan takes 1 off each user's flag every 1800 ms.
 *
 * Not as it was: its buffer of all lines is cleared after each heartbeat (it never was, so it could not run for long), and
 * the scan prints no users. Both make it cheaper than it was. It has no lapses, as it had none: the record stays.
 */
public final class LegacyServer {
  interface FrameParser {
    /** user_id, user_state, user_ip, user_port. */
    String[] parse(String frame) throws Exception;
  }

  private static final class User {
    final int state;
    final String ip;
    final int port;
    int flag = FLAG;

    User(int state, String ip, int port) {
      this.state = state;
      this.ip = ip;
      this.port = port;
    }
  }

  private static final int FLAG = 2;
  private static final int SCAN_MS = 1800;
  private static final int BACKLOG = 4096;
  private static final String END = "</protocol>";

  private static final Map<Integer, User> users = new HashMap<>();
  private static final Object lock = new Object();
  private static final AtomicLong heartbeats = new AtomicLong();
  private static final FrameParser parser = newParser();

  public static void main(String[] args) throws IOException {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    ServerSocket server = new ServerSocket(0, BACKLOG, loopback);
    HttpServer http = HttpServer.create(new InetSocketAddress(loopback, 0), 0);
    http.createContext("/heartbeats", (exchange) -> {
      byte[] count = String.valueOf(heartbeats.get()).getBytes(StandardCharsets.US_ASCII);
      exchange.sendResponseHeaders(200, count.length);
      exchange.getResponseBody().write(count);
      exchange.close();
    });
    http.createContext("/readyz", (exchange) -> {
      exchange.sendResponseHeaders(200, -1);
      exchange.close();
    });
    http.start();
    start(LegacyServer::scan);
    System.out.println("{\"port\":" + http.getAddress().getPort() + ",\"tcpPort\":" + server.getLocalPort() + "}");
    while (true) {
      Socket socket = server.accept();
      start(() -> read(socket));
    }
  }

  private static void start(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    thread.start();
  }

  private static void read(Socket socket) {
    try (socket;
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8))) {
      StringBuffer buffer = new StringBuffer();
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        buffer.append(line);
        if (!line.contains(END)) continue;
        store(parser.parse(buffer.toString()));
        buffer.setLength(0);
      }
    } catch (Exception brokenOrBadFrame) {
      // As it was: the thread ends, and the connection with it.
    }
  }

  private static void store(String[] fields) {
    int id = Integer.parseInt(fields[0]);
    User user = new User(Integer.parseInt(fields[1]), fields[2], Integer.parseInt(fields[3]));
    synchronized (lock) {
      users.put(id, user);
    }
    heartbeats.incrementAndGet();
  }

  private static void scan() {
    while (true) {
      synchronized (lock) {
        for (User user : users.values()) if (user.flag >= 0) user.flag -= 1;
      }
      try {
        Thread.sleep(SCAN_MS);
      } catch (InterruptedException over) {
        return;
      }
    }
  }

  /** With dom4j where its parser was compiled. */
  private static FrameParser newParser() {
    try {
      return (FrameParser) Class.forName("Dom4jParser").getDeclaredConstructor().newInstance();
    } catch (ReflectiveOperationException | LinkageError notThere) {
      return new JdkParser();
    }
  }
}
