import org.dom4j.DocumentHelper;
import org.dom4j.Element;

/** A heartbeat read through dom4j, as the legacy server did. */
final class Dom4jParser implements LegacyServer.FrameParser {
  @Override
  public String[] parse(String frame) throws Exception {
    Element root = DocumentHelper.parseText(frame).getRootElement();
    return new String[] {
      root.elementText("user_id"),
      root.elementText("user_state"),
      root.elementText("user_ip"),
      root.elementText("user_port")
    };
  }
}
