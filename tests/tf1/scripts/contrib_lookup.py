import tensorflow as tf

lookup = tf.contrib.lookup
table = lookup.HashTable(lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
index = lookup.index_table_from_tensor(["x", "y"])
back = lookup.index_to_string_table_from_tensor(["x", "y"], default_value="?")
mutable = lookup.MutableHashTable(tf.string, tf.int64, -1)
insert = mutable.insert(tf.constant(["k"]), tf.constant([7], tf.int64))
with tf.Session() as sess:
    table.init.run()
    sess.run([tf.tables_initializer(), insert])
    assert sess.run(table.lookup(tf.constant(["b", "c"]))).tolist() == [2, -1]
    assert sess.run(index.lookup(tf.constant(["y", "z"]))).tolist() == [1, -1]
    assert sess.run(back.lookup(tf.constant([0, 5], tf.int64))).tolist() == [b"x", b"?"]
    assert sess.run(mutable.lookup(tf.constant(["k", "l"]))).tolist() == [7, -1]
