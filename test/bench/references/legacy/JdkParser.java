import java.io.StringReader;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;

/** A heartbeat read through the JDK's own DOM. */
final class JdkParser implements LegacyServer.FrameParser {
  @Override
  public String[] parse(String frame) throws Exception {
    InputSource source = new InputSource(new StringReader(frame));
    Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(source).getDocumentElement();
    return new String[] {
      textOf(root, "user_id"), textOf(root, "user_state"), textOf(root, "user_ip"), textOf(root, "user_port")
    };
  }

  private static String textOf(Element root, String name) {
    return root.getElementsByTagName(name).item(0).getTextContent();
  }
}
