# SPDX-License-Identifier: Apache-2.0
"""The service that all programs call: it calls nobody, and takes a moment."""

import os
import random
import time

from http_server import serve


def answer(_path):
    time.sleep(random.random() / 500)
    return "leaf"


serve(int(os.environ["LEAF_PORT"]), answer)
