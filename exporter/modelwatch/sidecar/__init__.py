"""The sidecar: scores what applications record, exposes the results and tells who has to know.

The only package that imports aiohttp and APScheduler's schedulers. ``settings``: how it was started. ``state``: store,
models, alerts, and what is exposed. ``schedule``: when what runs. ``web``, ``page``, ``webhook``: HTTP. ``run``: the
process and its signals.
"""
