package showroom;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.shaded.netty4.io.netty.buffer.Unpooled;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelFutureListener;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerContext;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelInboundHandlerAdapter;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.DefaultFullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpHeaderNames;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpHeaders;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpRequest;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpResponseStatus;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpVersion;
import org.apache.flink.shaded.netty4.io.netty.util.ReferenceCountUtil;

/**
 * Rejects requests to Flink's REST server that a browser sends for a page of another site.
 *
 * <p>Flink has no login and runs uploaded code. CORS headers do not help, because a browser sends a form or
 * a file to another origin without a preflight. A browser does send the page's origin and the requested host. Clients
 * other than browsers send neither Origin nor Sec-Fetch-Site.
 */
final class RequestGuard extends ChannelInboundHandlerAdapter {
  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");

  private final String address;
  private boolean refused;

  RequestGuard(String address) {
    this.address = address == null ? "" : address.toLowerCase(Locale.ROOT);
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    Optional<String> problem =
        message instanceof HttpRequest ? findProblem((HttpRequest) message) : Optional.empty();
    if (problem.isPresent() && !refused) {
      refused = true;
      refuse(context, problem.get());
    }
    // The body of a rejected request may still arrive before the connection is closed.
    if (refused) {
      ReferenceCountUtil.release(message);
    } else {
      context.fireChannelRead(message);
    }
  }

  /** Returns why a request is rejected; empty if it may pass. */
  private Optional<String> findProblem(HttpRequest request) {
    HttpHeaders headers = request.headers();
    String host = headers.get(HttpHeaderNames.HOST, "").toLowerCase(Locale.ROOT);
    String name = host.replaceFirst(":[0-9]*$", "");
    // With DNS rebinding, a foreign name that resolves to this address has an origin equal to its host.
    if (!LOOPBACK.contains(name) && !name.equals(address)) {
      return Optional.of("the Host header names another server");
    }
    String origin = headers.get(HttpHeaderNames.ORIGIN);
    if (origin != null && !origin.toLowerCase(Locale.ROOT).equals("http://" + host)) {
      return Optional.of("the request comes from a page of another origin");
    }
    String site = headers.get("Sec-Fetch-Site", "none");
    boolean ownPage = site.equals("same-origin") || site.equals("none");
    // A link on another page may open the user interface only, because some GET requests cancel a job.
    boolean opensInterface = request.uri().equals("/") && "navigate".equals(headers.get("Sec-Fetch-Mode"));
    return ownPage || opensInterface ? Optional.empty() : Optional.of("the request comes from another site");
  }

  private static void refuse(ChannelHandlerContext context, String problem) {
    byte[] body = ("{\"errors\":[\"request refused: " + problem + "\"]}").getBytes(StandardCharsets.UTF_8);
    DefaultFullHttpResponse response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1, HttpResponseStatus.FORBIDDEN, Unpooled.wrappedBuffer(body));
    response.headers().set(HttpHeaderNames.CONTENT_TYPE, "application/json; charset=UTF-8");
    response.headers().setInt(HttpHeaderNames.CONTENT_LENGTH, body.length);
    response.headers().set(HttpHeaderNames.CONNECTION, "close");
    context.writeAndFlush(response).addListener(ChannelFutureListener.CLOSE);
  }
}
