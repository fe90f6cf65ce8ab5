// Damaged files, one at a time, beside three good ones. The first byte of the input says which file it replaces.
// Whatever is in it: a client without a certificate gets in, is shown the certificate of the good pair, and a stranger stays out.
#define _GNU_SOURCE
#include "lab.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *volume, *good[4];
static SSL_CTX *ctx;
static struct identity *stranger;

static void clean(void) {
    char *command = format("rm -rf %.*s", (int)(strlen(volume) - strlen("/volume")), volume);
    if (system(command))
        puts(command);
}

static void prepare(void) {
    char template[] = "/dev/shm/tls-reload-fuzz-XXXXXX";
    EXPECT(mkdtemp(template));
    volume = format("%s/volume", template);
    atexit(clean);
    configure(volume, "certificate = tls.crt\nkey = tls.key\nca = clients.crt\ncrl = clients.crl\n");
    struct identity *us = issue("us", EC, 0, NULL), *a = issue("a", EC, 1, NULL);
    stranger = issue("x", EC, 0, issue("stranger", EC, 1, NULL));
    good[0] = pem(us, NULL), good[1] = pem_key(us, NULL), good[2] = pem(a, NULL), good[3] = pem_crl(a, NULL);
    ctx = server(good[0], good[1], pem(stranger->issuer, NULL), NULL);
    // Seeds, if the corpus is still empty: the good files, each in its place.
    for (int i = 0; i < 4 && getenv("SEEDS"); i++) {
        char *path = format("%s/good-%d", getenv("SEEDS"), i), *text = format("%d%s", i, good[i]);
        write_file(path, text);
    }
}

int LLVMFuzzerInitialize(int *count, char ***words);
int LLVMFuzzerInitialize(int *count, char ***words) {
    (void)count, (void)words;
    prepare();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int turn;
    if (size < 1)
        return -1;
    int replaced = data[0] % 4;
    publish(volume, good[0], good[1], good[2], good[3]);
    static const char *const names[] = {"tls.crt", "tls.key", "clients.crt", "clients.crl"};
    char *path = format("%s/..data/%s", volume, names[replaced]); // Bytes, which are no text that `publish` could write.
    FILE *file = fopen(path, "w");
    EXPECT(file && fwrite(data + 1, 1, size - 1, file) == size - 1 && fclose(file) == 0);
    free(path);
    struct outcome it = dial(ctx, (struct client){.identity = turn++ % 2 ? stranger : NULL});
    if (it.in != turn % 2)
        printf("file %d, in %d, leaf %s, names %s, turn %d\n", replaced, it.in, it.leaf, it.names, turn);
    EXPECT(it.in == turn % 2 && !strcmp(it.leaf, "us"));
    return 0;
}
