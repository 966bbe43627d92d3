import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.ReentrantLock;
import org.h2.mvstore.MVStore;

/** MongoDB's wire protocol on one file: arguments are host, port and the file. */
public final class MongodbStandIn {
    private static final int CACHE_MB = 64;
    private static final int COMPACT_MS = 2_000;

    private MongodbStandIn() {}

    public static void main(String[] arguments) throws InterruptedException {
        if (arguments.length != 3) {
            System.err.println("arguments: host port file");
            System.exit(2);
        }
        // The store must not write in the middle of a command: a crash could store a document without its index entry.
        MVStore store =
                new MVStore.Builder()
                        .fileName(arguments[2])
                        .autoCommitDisabled()
                        .autoCommitBufferSize(0)
                        .cacheSize(CACHE_MB)
                        .open();
        MongoServer server = new MongoServer(new Durable(store));
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime()
                .addShutdownHook(
                        new Thread(
                                () -> {
                                    server.shutdownNow();
                                    store.close(COMPACT_MS);
                                    ended.countDown();
                                }));
        server.bind(arguments[0], Integer.parseInt(arguments[1]));
        ended.await();
    }

    /** Commits each write command as a whole before its response; waiting commands share one commit. */
    private static final class Durable extends BsonBackend {
        private static final Set<String> WRITES =
                Set.of(
                        "insert", "update", "delete", "findAndModify", "findandmodify", "create", "createIndexes",
                        "drop", "dropDatabase", "dropIndexes", "renameCollection");

        // Fair, so that commands that already wait are executed before the first of them commits.
        private final ReentrantLock writing = new ReentrantLock(true);
        private long executed;
        private long committed;

        Durable(MVStore store) {
            super(store);
        }

        @Override
        public Document handleMessage(MongoMessage message) {
            if (!writes(message.getDocument())) {
                return super.handleMessage(message);
            }
            long number;
            writing.lock();
            try {
                return super.handleMessage(message);
            } finally {
                number = ++executed;
                writing.unlock();
                commit(number);
            }
        }

        /** Commits all executed commands, unless a later commit included this command. */
        private void commit(long number) {
            writing.lock();
            try {
                if (committed < number) {
                    getMvStore().commit();
                    committed = executed;
                }
            } finally {
                writing.unlock();
            }
        }

        @Override
        public void close() {
            // The caller that opened the store closes it, after the last command.
        }

        private static boolean writes(Document command) {
            String name = command.keySet().iterator().next();
            if (name.equals("aggregate")) {
                String pipeline = String.valueOf(command.get("pipeline"));
                return pipeline.contains("$out") || pipeline.contains("$merge");
            }
            return WRITES.contains(name);
        }
    }
}
