package org.apache.beam.sdk.fn.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.beam.model.pipeline.v1.Endpoints.ApiServiceDescriptor;
import org.apache.beam.sdk.fn.channel.SocketAddressFactory;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.netty.NettyServerBuilder;

/**
 * Starts the gRPC servers that PyFlink's Python worker connects to, on the loopback interface only.
 *
 * <p>Replaces the class of the same name in flink-python, which passes only the port to Netty and therefore
 * binds every interface. The public interface is the same. The stream job's jar precedes flink-python in the
 * class path of the job, so this class is loaded instead.
 */
public abstract class ServerFactory {

  // The client pings every 20 s; a server that allows less frequent pings closes the connection.
  private static final long MIN_PING_INTERVAL_S = 19;

  /** Creates a factory for servers on a free loopback port. */
  public static ServerFactory createDefault() {
    return createWithUrlFactory(UrlFactory.createDefault());
  }

  /** Creates a factory that announces its servers by the URLs of {@code urls}. */
  public static ServerFactory createWithUrlFactory(UrlFactory urls) {
    return createWithUrlFactoryAndPortSupplier(urls, () -> 0);
  }

  /** Creates a factory that takes ports from {@code ports}. */
  public static ServerFactory createWithPortSupplier(Supplier<Integer> ports) {
    return createWithUrlFactoryAndPortSupplier(UrlFactory.createDefault(), ports);
  }

  /** Creates a factory that takes ports from {@code ports} and URLs from {@code urls}. */
  public static ServerFactory createWithUrlFactoryAndPortSupplier(UrlFactory urls, Supplier<Integer> ports) {
    return new InetSocketAddressServerFactory(urls, ports);
  }

  /** Not supported: Netty's default transport serves loopback connections. */
  public static ServerFactory createEpollSocket() {
    throw new UnsupportedOperationException("creating an epoll server failed: only loopback TCP is supported");
  }

  /** Not supported: Netty's default transport serves loopback connections. */
  public static ServerFactory createEpollDomainSocket() {
    throw new UnsupportedOperationException("creating a socket file failed: only loopback TCP is supported");
  }

  /** Starts a server on a free port and writes its URL into {@code descriptor}. */
  public abstract Server allocateAddressAndCreate(
      List<BindableService> services, ApiServiceDescriptor.Builder descriptor) throws IOException;

  /** Starts a server on the port that {@code descriptor} names. */
  public abstract Server create(List<BindableService> services, ApiServiceDescriptor descriptor) throws IOException;

  /** Builds the URL by which a client reaches a server. */
  @FunctionalInterface
  public interface UrlFactory {
    /** Returns the URL of a server at {@code host} and {@code port}. */
    String createUrl(String host, int port);

    /** Returns {@code host:port}. */
    static UrlFactory createDefault() {
      return (host, port) -> host + ":" + port;
    }
  }

  /** Starts servers bound to the loopback address. */
  public static class InetSocketAddressServerFactory extends ServerFactory {
    private final UrlFactory urls;
    private final Supplier<Integer> ports;

    private InetSocketAddressServerFactory(UrlFactory urls, Supplier<Integer> ports) {
      this.urls = urls;
      this.ports = ports;
    }

    @Override
    public Server allocateAddressAndCreate(List<BindableService> services, ApiServiceDescriptor.Builder descriptor)
        throws IOException {
      Server server = start(services, ports.get());
      descriptor.setUrl(urls.createUrl(InetAddress.getLoopbackAddress().getHostName(), server.getPort()));
      return server;
    }

    @Override
    public Server create(List<BindableService> services, ApiServiceDescriptor descriptor) throws IOException {
      SocketAddress address = SocketAddressFactory.createFrom(descriptor.getUrl());
      if (!(address instanceof InetSocketAddress)) {
        throw new IllegalArgumentException("starting a server failed: " + descriptor.getUrl() + " is not host:port");
      }
      return start(services, ((InetSocketAddress) address).getPort());
    }

    private static Server start(List<BindableService> services, int port) throws IOException {
      NettyServerBuilder builder =
          NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
              // Flink limits its batches itself; gRPC's default limit of 4 MiB is smaller than they are.
              .maxInboundMessageSize(Integer.MAX_VALUE)
              .permitKeepAliveTime(MIN_PING_INTERVAL_S, TimeUnit.SECONDS);
      for (BindableService service : services) {
        // Services identify the calling worker by the headers.
        builder.addService(
            ServerInterceptors.intercept(service, GrpcContextHeaderAccessorProvider.interceptor()));
      }
      return builder.build().start();
    }
  }
}
