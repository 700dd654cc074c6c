import java.io.FileInputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** PUT and GET by presigned URLs through a proxy, with both of Java's own clients. */
class Proxied {
    public static void main(String[] args) throws Exception {
        var proxy = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (var in = new FileInputStream(args[2])) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        for (var version : HttpClient.Version.values()) {
            String text = "by Java over " + version;
            HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.of(proxy)).sslContext(tls).version(version).build();
            var put = client.send(HttpRequest.newBuilder(URI.create(args[3])).PUT(HttpRequest.BodyPublishers.ofString(text)).build(), HttpResponse.BodyHandlers.ofString());
            var get = client.send(HttpRequest.newBuilder(URI.create(args[4])).build(), HttpResponse.BodyHandlers.ofString());
            if (put.statusCode() != 200 || !get.body().equals(text)) {
                throw new IllegalStateException(put.statusCode() + " " + put.body() + " " + get.statusCode() + " " + get.body());
            }
        }
        var old = (HttpURLConnection) URI.create(args[4]).toURL().openConnection(new Proxy(Proxy.Type.HTTP, proxy));
        if (old instanceof HttpsURLConnection secure) {
            secure.setSSLSocketFactory(tls.getSocketFactory());
        }
        if (!new String(old.getInputStream().readAllBytes()).startsWith("by Java")) {
            throw new IllegalStateException("HttpURLConnection: " + old.getResponseCode());
        }
        System.out.println("all well");
    }
}
