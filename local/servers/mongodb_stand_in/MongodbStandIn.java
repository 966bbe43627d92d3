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
        // The store must never write in the midst of a command: a crash would tear a document from its index.
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

    /** Commits each writing command as a whole before it is answered; commands that wait share one commit. */
    private static final class Durable extends BsonBackend {
        private static final Set<String> WRITES =
                Set.of(
                        "insert", "update", "delete", "findAndModify", "findandmodify", "create", "createIndexes",
                        "drop", "dropDatabase", "dropIndexes", "renameCollection");

        // Fair: the commands that wait already are executed before the first of them commits.
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

        /** Commits all executed commands, unless a commit since has had this one with it. */
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
            // The store is closed by whoever opened it, once no command can come any more.
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
