package showroom;

import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.runtime.io.network.netty.InboundChannelHandlerFactory;
import org.apache.flink.runtime.rest.FileUploadHandler;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandler;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerContext;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelInboundHandlerAdapter;

/** Adds {@link RequestGuard} to each connection of Flink's REST server; loaded through its service file. */
public final class RequestGuardFactory implements InboundChannelHandlerFactory {

  @Override
  public int priority() {
    return 0;
  }

  @Override
  public Optional<ChannelHandler> createHandler(Configuration configuration, Map<String, String> responseHeaders) {
    return Optional.of(new Installer(configuration.get(RestOptions.ADDRESS)));
  }

  /** Moves the guard before the handler that stores uploads: a rejected upload must not reach the disk. */
  private static final class Installer extends ChannelInboundHandlerAdapter {
    private final String address;

    private Installer(String address) {
      this.address = address;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) {
      ChannelHandlerContext uploads = context.pipeline().context(FileUploadHandler.class);
      context.pipeline().addBefore(uploads.name(), "request-guard", new RequestGuard(address));
    }
  }
}
