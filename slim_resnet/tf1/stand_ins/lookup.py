"""``tf.contrib.lookup``: tables under the names that they had there."""

import tensorflow as tf
from tensorflow.python.ops import lookup_ops

tf1 = tf.compat.v1


class HashTable(tf1.lookup.StaticHashTable):
    """A table that does not change once ``init``, or ``tf.tables_initializer()``, has run."""

    def __init__(self, initializer, default_value, shared_name=None, name=None):
        super().__init__(initializer, default_value, name=name or shared_name)

    @property
    def init(self):
        return self.initializer


class MutableHashTable(lookup_ops.MutableHashTable):
    """A table that ``insert`` changes."""

    def __init__(self, key_dtype, value_dtype, default_value, shared_name=None,
                 name="MutableHashTable", checkpoint=True):
        super().__init__(key_dtype, value_dtype, default_value, name=shared_name or name,
                         checkpoint=checkpoint)


def index_table_from_tensor(mapping, num_oov_buckets=0, default_value=-1, hasher_spec=None,
                            dtype=tf.string, name=None):
    """Returns a table from the strings, or whole numbers, of ``mapping`` to their places."""
    return lookup_ops.index_table_from_tensor(
        mapping, num_oov_buckets, default_value, hasher_spec or lookup_ops.FastHashSpec, dtype,
        name)


string_to_index_table_from_tensor = index_table_from_tensor
string_to_index_table_from_file = lookup_ops.index_table_from_file


def string_to_index(tensor, mapping, default_value=-1, name=None):
    """Returns the place of each string in ``mapping``; ``tf.tables_initializer()`` must run."""
    return index_table_from_tensor(mapping, default_value=default_value,
                                   name=name).lookup(tensor)


def index_to_string(tensor, mapping, default_value="UNK", name=None):
    """Returns the string at each place of ``mapping``; ``tf.tables_initializer()`` must run."""
    return lookup_ops.index_to_string_table_from_tensor(
        mapping, default_value, name).lookup(tf.cast(tensor, tf.int64))
