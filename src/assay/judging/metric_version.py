def metric_version(name, revision, sources, module, function, content, options):
    return f"{name}-{revision}.{content[:8]}"
