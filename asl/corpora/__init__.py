"""A corpus on its owner's disk -> lhotse manifests: one module a corpus, all with the same two functions.

``check`` (stage 0) says what is there and what is missing; ``prepare`` (stage 1) writes
``data/<split>/{recordings,supervisions}.jsonl.gz``, ``data/lang/`` (How2Sign's tokens are a choice of its own: it
writes ``data/text/`` alone) and ``data/report.json``. What corpora share is in ``manifests`` (writing and counting),
``sources`` (landmarks or videos), ``rates`` (frames per second) and ``resplit`` (splits by signer). A corpus module
says where its corpus comes from and what is odd about it.
"""
