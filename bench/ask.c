/* Asks URLs over one keep-alive connection and prints how long answers took: the query rows of the benchmark.
 *
 *   ask PID ROUNDS < urls      each line one URL; after one warm-up of each, ROUNDS passes over all lines
 *
 * Prints: median_ms p99_ms server_cpu_ms_per_query answer_bytes_median statuses_not_200. Server CPU is utime + stime of PID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "net/client.h"
#include "os/clock.h"

static double cpu_seconds(int pid) {
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *after = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    if (after) sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(double *v, size_t n, double q) {
    qsort(v, n, sizeof *v, compare_doubles);
    return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: ask PID ROUNDS < urls\n");
        return 2;
    }
    int pid = (int)strtol(argv[1], NULL, 10), rounds = (int)strtol(argv[2], NULL, 10);
    VEC(char *) urls = {0};
    VEC(double) times = {0};
    VEC(double) sizes = {0};
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) *vec_push(&urls) = str_dup(str_of(line));
    }
    struct http_client *client = NULL;
    err e = http_client_new(&client);
    double cpu = 0;
    int bad = 0;
    for (int round = -1; round < rounds && !e; round++) {
        if (round == 0) cpu = cpu_seconds(pid);
        for (size_t i = 0; i < urls.n && !e; i++) {
            struct http_answer answer = {0};
            int64_t begin = clock_monotonic_ns();
            e = http_call_wait(client, "GET", urls.v[i], NULL, (struct str){0}, (int64_t)60000000000, (size_t)1 << 30, &answer);
            if (round >= 0 && !e) {
                *vec_push(&times) = (double)(clock_monotonic_ns() - begin) / 1e6;
                *vec_push(&sizes) = (double)answer.body.n;
                bad += answer.status != 200;
            }
            buf_done(&answer.body);
        }
    }
    if (e || !times.n) {
        fprintf(stderr, "ask: %s\n", e ? err_text(e) : "no URLs");
        return 1;
    }
    cpu = cpu_seconds(pid) - cpu;
    double p99 = at(times.v, times.n, 0.99);
    printf("%.3f %.3f %.3f %.0f %d\n", at(times.v, times.n, 0.5), p99, cpu * 1000 / (double)times.n, at(sizes.v, sizes.n, 0.5), bad);
    http_client_free(client);
    for (size_t i = 0; i < urls.n; i++) mem_free(urls.v[i]);
    vec_done(&urls);
    vec_done(&times);
    vec_done(&sizes);
    return 0;
}
