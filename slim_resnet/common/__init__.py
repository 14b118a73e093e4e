"""What all rooms use: files, archives, tables, clusters, the machine."""
