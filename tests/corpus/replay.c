/* Runs a fuzz target over files and folders given as arguments: the corpus replay of ./dev test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || st.st_size < 0) st.st_size = 0;
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1); /* exactly sized, so that ASan sees one byte too far */
    if (!data || fread(data, 1, size, f) != size) {
        perror(path);
        exit(1);
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int replay(const char *path) {
    DIR *d = opendir(path);
    if (!d) return replay_file(path);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char child[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        int ran = replay(child);
        if (ran < 0) exit(1);
        n += ran;
    }
    closedir(d);
    return n;
}

int main(int argc, char **argv) {
    int n = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        int ran = replay(argv[i]);
        if (ran < 0) return 1;
        n += ran;
    }
    printf("replayed %d inputs\n", n);
    return n > 0 ? 0 : 1; /* a check that cannot fail is none */
}
