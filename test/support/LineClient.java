import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.net.Socket;

/**
 * A client that reads line by line: writes a good frame and a bad one, then prints each line that it reads. Arguments:
 * port, user, charset, lines to read before it ends.
 */
public final class LineClient {
  public static void main(String[] arguments) throws IOException {
    int port = Integer.parseInt(arguments[0]);
    String user = arguments[1];
    String charset = arguments[2];
    int lines = Integer.parseInt(arguments[3]);
    try (Socket socket = new Socket("127.0.0.1", port);
        PrintWriter writer = new PrintWriter(new OutputStreamWriter(socket.getOutputStream(), charset), true);
        BufferedReader reader = new BufferedReader(new InputStreamReader(socket.getInputStream(), charset))) {
      writer.println("<protocol><user_id>" + user + "</user_id></protocol>");
      writer.println("<protocol><user_id>not an id</user_id></protocol>");
      for (int read = 0; read < lines; read++) {
        System.out.println(reader.readLine());
      }
    }
  }
}
