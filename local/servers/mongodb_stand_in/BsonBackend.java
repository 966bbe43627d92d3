import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.List;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;
import org.h2.mvstore.type.StringDataType;

/**
 * A store that saves documents as BSON and compares keys of one text as texts.
 *
 * <p>The library's own format is Java's serialization, which serializes a key at each step of each search. An existing
 * file in the library's format keeps that format.
 */
class BsonBackend extends H2Backend {
    private static final int FORMAT = 1;

    BsonBackend(MVStore store) {
        super(store);
    }

    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
        MVStore store = getMvStore();
        if (store.getStoreVersion() == 0 && store.getMapNames().isEmpty()) {
            store.setStoreVersion(FORMAT);
        }
        return store.getStoreVersion() == FORMAT ? new BsonDatabase(name) : super.openOrCreateDatabase(name);
    }

    /** Opens each map with the types of this format, so that the library later gets the same map by its name. */
    private final class BsonDatabase extends H2Database {
        BsonDatabase(String name) {
            super(name, getMvStore(), getCursorRegistry());
        }

        @Override
        protected MongoCollection<Object> openOrCreateCollection(String collection, CollectionOptions options) {
            getMvStore()
                    .openMap(
                            "databases." + getFullCollectionNamespace(collection),
                            new MVMap.Builder<Object, Document>().valueType(new BsonType()));
            return super.openOrCreateCollection(collection, options);
        }

        @Override
        protected Index<Object> openOrCreateUniqueIndex(
                String collection, String index, List<IndexKey> keys, boolean sparse) {
            getMvStore()
                    .openMap(
                            getFullCollectionNamespace(collection) + "._index_" + index,
                            new MVMap.Builder<KeyValue, Object>().keyType(new KeyType()));
            return super.openOrCreateUniqueIndex(collection, index, keys, sparse);
        }
    }

    /** Documents as BSON. */
    private static final class BsonType extends BasicDataType<Document> {
        private static final int INITIAL_BYTES = 2_048;
        private static final int FIELD_BYTES = 150;

        /** Estimated heap size of a field; it bounds the cache. */
        @Override
        public int getMemory(Document document) {
            return FIELD_BYTES * (1 + document.size());
        }

        @Override
        public void write(WriteBuffer out, Document document) {
            ByteBuf bytes = Unpooled.buffer(INITIAL_BYTES);
            BsonEncoder.encodeDocument(document, bytes);
            out.put(bytes.array(), 0, bytes.readableBytes());
        }

        @Override
        public Document read(ByteBuffer in) {
            ByteBuf bytes = Unpooled.wrappedBuffer(in);
            Document document = BsonDecoder.decodeBson(bytes);
            in.position(in.position() + bytes.readerIndex());
            return document;
        }

        @Override
        public Document[] createStorage(int size) {
            return new Document[size];
        }

        @Override
        public int compare(Document one, Document other) {
            throw new UnsupportedOperationException("documents are values, never keys");
        }
    }

    /** Stores keys of one text as that text, sorted before all other keys, which keep the library's format. */
    private static final class KeyType extends BasicDataType<KeyValue> {
        private static final byte TEXT = 1;
        private static final byte OTHER = 0;

        private final ObjectDataType others = new ObjectDataType();

        @Override
        public int getMemory(KeyValue key) {
            return isText(key) ? StringDataType.INSTANCE.getMemory(text(key)) : others.getMemory(key);
        }

        @Override
        public int compare(KeyValue one, KeyValue other) {
            if (isText(one) && isText(other)) {
                return text(one).compareTo(text(other));
            }
            if (isText(one) || isText(other)) {
                return isText(one) ? -1 : 1;
            }
            return others.compare(one, other);
        }

        @Override
        public void write(WriteBuffer out, KeyValue key) {
            if (isText(key)) {
                StringDataType.INSTANCE.write(out.put(TEXT), text(key));
            } else {
                others.write(out.put(OTHER), key);
            }
        }

        @Override
        public KeyValue read(ByteBuffer in) {
            return in.get() == TEXT ? new KeyValue(StringDataType.INSTANCE.read(in)) : (KeyValue) others.read(in);
        }

        @Override
        public KeyValue[] createStorage(int size) {
            return new KeyValue[size];
        }

        private static boolean isText(KeyValue key) {
            return key.size() == 1 && key.get(0) instanceof String;
        }

        private static String text(KeyValue key) {
            return (String) key.get(0);
        }
    }
}
