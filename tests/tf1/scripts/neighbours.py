import collections
import fractions
import inspect
import time

import numpy as np
import scipy.misc
from Queue import Queue
import cPickle as pickle

assert np.float is float and np.int is int and np.bool is bool and np.object is object
assert np.zeros([2], dtype=np.float).dtype == np.float64 and np.product([2, 3]) == 6
assert np.asscalar(np.array([3.0])) == 3.0 and np.Inf == float("inf")
assert np.random.RandomState(0) and np.linalg.norm([3, 4]) == 5
assert isinstance(u"a", unicode) and list(xrange(3)) == [0, 1, 2] and long(3) == 3
assert reduce(lambda a, b: a + b, [1, 2, 3]) == 6 and isinstance("a", basestring)
assert isinstance([], collections.Iterable) and time.clock() >= 0
assert fractions.gcd(12, 18) == 6
assert inspect.getargspec(lambda a, b=1: a).defaults == (1,)
assert Queue().empty() and pickle.loads(pickle.dumps([1])) == [1]
