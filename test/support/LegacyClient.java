import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.net.Socket;

/**
 * A client as the legacy ones were: a socket, a PrintWriter, one line of XML an interval (a second in the real thing), and
 * never a read. Arguments: port, user, interval in milliseconds, state, charset; it beats until it is killed.
 */
public final class LegacyClient {
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int port = Integer.parseInt(arguments[0]);
    String user = arguments[1];
    long intervalMs = Long.parseLong(arguments[2]);
    String state = arguments[3];
    String charset = arguments[4];
    try (Socket socket = new Socket("127.0.0.1", port);
        PrintWriter writer = new PrintWriter(new OutputStreamWriter(socket.getOutputStream(), charset), true)) {
      String declaration = charset.equals("UTF-8") ? "" : "<?xml version=\"1.0\" encoding=\"" + charset + "\"?>";
      String heartbeat =
          declaration
              + "<protocol><user_id>" + user + "</user_id><user_state>" + state + "</user_state><user_ip>"
              + socket.getLocalAddress().getHostAddress() + "</user_ip><user_port>" + socket.getLocalPort()
              + "</user_port><device>\u624b\u673a</device></protocol>";
      while (!writer.checkError()) {
        writer.println(heartbeat);
        Thread.sleep(intervalMs);
      }
    }
  }
}
