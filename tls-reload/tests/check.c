// Every case runs in a process of its own, because a process has one state of the module. MODULE names the module.
//   check [CASE]   runs all cases, or one
#define _GNU_SOURCE
#include "lab.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIR "certificate = tls.crt\nkey = tls.key\n"
#define TRUST PAIR "ca = clients.crt\n"
#define ALL TRUST "crl = clients.crl\n"
#define ANY ((struct client){0})
#define AS(who) ((struct client){.identity = (who)})

static char *scratch, *volume, *log_path;

static void prepare(const char *settings) { configure(volume, settings); }

// How many lines with `text` the module has written.
static int lines(const char *text) {
    char line[4096];
    int count = 0;
    FILE *log = fopen(log_path, "r");
    EXPECT(log);
    while (fgets(line, sizeof line, log))
        count += strstr(line, "tls-reload") && strstr(line, text);
    fclose(log);
    return count;
}

static int serves(SSL_CTX *ctx, const char *name) {
    for (int i = 0; i < 3; i++) {
        struct outcome it = dial(ctx, ANY);
        if (!it.in || strcmp(it.leaf, name)) {
            printf("expected %s, in: %d, leaf: %s\n", name, it.in, it.leaf);
            return 0;
        }
    }
    return 1;
}

static void a_new_pair_is_served_at_the_next_handshake(void) {
    prepare(PAIR);
    struct identity *old = issue("old", EC, 0, NULL), *new = issue("new", EC, 0, NULL);
    char *start = pem(old, NULL), *key = pem_key(old, NULL);
    publish(volume, start, key, NULL, NULL);
    SSL_CTX *ctx = server(start, key, NULL, NULL);
    EXPECT(lines("ready: each handshake takes the files tls.crt, tls.key of ") == 1);
    EXPECT(serves(ctx, "old"));
    EXPECT(lines("") == 1); // The first files of a process are no news.
    publish(volume, pem(new, NULL), pem_key(new, NULL), NULL, NULL);
    EXPECT(serves(ctx, "new"));
    EXPECT(lines("in use") == 1 && lines("") == 2);
    // What belongs to the program is as it was.
    EXPECT(!X509_cmp(SSL_CTX_get0_certificate(ctx), old->crt));
}

static void a_chain_is_served_as_it_is_in_the_file(void) {
    prepare(PAIR);
    struct identity *root = issue("root", EC, 1, NULL), *middle = issue("middle", EC, 1, root), *leaf = issue("leaf", EC, 0, middle);
    char *key = pem_key(leaf, NULL), *alone = pem(leaf, NULL);
    publish(volume, pem(leaf, middle, NULL), key, NULL, NULL);
    // The program trusts the issuers: without the module, OpenSSL would complete the chain from these.
    SSL_CTX *ctx = server(alone, key, pem(middle, root, NULL), NULL);
    EXPECT(dial(ctx, ANY).chain == 2);
    publish(volume, alone, key, NULL, NULL);
    EXPECT(dial(ctx, ANY).chain == 1);
    publish(volume, pem(leaf, middle, root, NULL), key, NULL, NULL);
    EXPECT(dial(ctx, ANY).chain == 3);
}

static void another_type_of_key_replaces_the_old_one(void) {
    prepare(PAIR);
    struct identity *all[] = {issue("rsa", RSA2048, 0, NULL), issue("ec", EC, 0, NULL), issue("ed", ED25519, 0, NULL),
                              issue("rsa2", RSA2048, 0, NULL)};
    SSL_CTX *ctx = server(pem(all[0], NULL), pem_key(all[0], NULL), NULL, NULL);
    const char *prefer_rsa = "rsa_pss_rsae_sha256:RSA+SHA256:ECDSA+SHA256:ed25519";
    for (unsigned i = 0; i < 4; i++) {
        publish(volume, pem(all[i], NULL), pem_key(all[i], NULL), NULL, NULL);
        const char *name = (const char *[]){"rsa", "ec", "ed", "rsa2"}[i];
        for (int version = 0; version < 2; version++) {
            struct outcome it = dial(ctx, (struct client){.version = version ? TLS1_2_VERSION : 0, .algorithms = prefer_rsa});
            EXPECT(it.in && !strcmp(it.leaf, name));
        }
        EXPECT(serves(ctx, name));
    }
}

static void trust_for_clients_follows_the_file(void) {
    prepare(TRUST);
    struct identity *backend = issue("backend", EC, 1, NULL), *a = issue("a", EC, 1, NULL), *b = issue("b", EC, 1, NULL);
    struct identity *of_backend = issue("x", EC, 0, backend), *of_a = issue("x", EC, 0, a), *of_b = issue("x", EC, 0, b);
    struct identity *us = issue("us", EC, 0, NULL);
    char *crt = pem(us, NULL), *key = pem_key(us, NULL);
    // The program's own trust is wider, since it also verifies the backend with it.
    SSL_CTX *ctx = server(crt, key, pem(backend, a, NULL), NULL);
    struct {
        char *file;
        int a, b;
        const char *names;
    } table[] = {{pem(a, NULL), 1, 0, "a "},       {pem(a, b, NULL), 1, 1, "a b "}, {pem(b, NULL), 0, 1, "b "},
                 {pem(a, a, b, NULL), 1, 1, "a b "}, {pem(a, NULL), 1, 0, "a "}};
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        publish(volume, crt, key, table[i].file, NULL);
        for (int version = 0; version < 2; version++) {
            int newest = version ? TLS1_2_VERSION : 0;
            EXPECT(dial(ctx, (struct client){.identity = of_a, .version = newest}).in == table[i].a);
            EXPECT(dial(ctx, (struct client){.identity = of_b, .version = newest}).in == table[i].b);
            EXPECT(!dial(ctx, (struct client){.identity = of_backend, .version = newest}).in);
            struct outcome it = dial(ctx, (struct client){.version = newest});
            EXPECT(it.in && !strcmp(it.names, table[i].names));
        }
    }
    EXPECT(lines("in use") == 4 && lines("names of CAs: 2, CRLs: 0") == 2);
    EXPECT(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(ctx)) == 2);
}

static void revocation_follows_the_file(void) {
    prepare(ALL);
    struct identity *a = issue("a", EC, 1, NULL), *b = issue("b", EC, 1, NULL), *us = issue("us", EC, 0, NULL);
    struct identity *one = issue("one", EC, 0, a), *other = issue("other", EC, 0, a), *of_b = issue("x", EC, 0, b);
    struct identity *middle = issue("middle", EC, 1, a), *below = issue("below", EC, 0, middle);
    char *crt = pem(us, NULL), *key = pem_key(us, NULL), *ca = pem(a, b, NULL);
    char *none_a = pem_crl(a, NULL), *none_b = pem_crl(b, NULL), *none_middle = pem_crl(middle, NULL);
    SSL_CTX *ctx = server(crt, key, ca, NULL); // The program itself checks no revocation.
    struct {
        char *crl;
        int one, other, of_b, below;
    } table[] = {{format("%s%s", none_a, none_b), 1, 1, 1, 0},
                 {format("%s%s", pem_crl(a, one), none_b), 0, 1, 1, 0},
                 {format("%s%s", pem_crl(a, one), none_middle), 0, 1, 0, 1},  // without a CRL of b
                 {format("%s%s", pem_crl(a, middle), none_middle), 1, 1, 0, 0}, // the whole chain is checked
                 {none_b, 0, 0, 1, 0}};
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        publish(volume, crt, key, ca, table[i].crl);
        EXPECT(dial(ctx, AS(one)).in == table[i].one && dial(ctx, AS(other)).in == table[i].other);
        EXPECT(dial(ctx, AS(of_b)).in == table[i].of_b && dial(ctx, AS(below)).in == table[i].below && dial(ctx, ANY).in);
    }
}

static void a_check_for_revocation_is_never_taken_away(void) {
    prepare(TRUST);
    struct identity *a = issue("a", EC, 1, NULL), *us = issue("us", EC, 0, NULL), *of_a = issue("x", EC, 0, a);
    char *crt = pem(us, NULL), *key = pem_key(us, NULL), *ca = pem(a, NULL);
    publish(volume, crt, key, ca, NULL);
    SSL_CTX *ctx = server(crt, key, ca, pem_crl(a, of_a));
    EXPECT(!dial(ctx, AS(of_a)).in && !dial(ctx, AS(issue("y", EC, 0, a))).in && dial(ctx, ANY).in);
    EXPECT(lines("clients.crt has no crl beside it") == 1);
}

// What a file may be instead of a good one. The first is for `tls.crt`, and so on; an empty text for "as it was".
struct bad {
    const char *name, *crt, *key, *ca, *crl, *said;
};
static struct identity *ca_a, *ca_b, *of_a, *of_b, *of_backend, *us;
static char *crt, *key, *ca, *crl;

static char *repeat(const char *text, size_t size) {
    char *all = calloc(1, size + 1);
    for (size_t i = 0; i < size; i++)
        all[i] = text[i % strlen(text)];
    return all;
}

static char *half(const char *text) { return strndup(text, strlen(text) / 2); }

static SSL_CTX *bad_start(void) {
    prepare(ALL);
    struct identity *backend = issue("backend", EC, 1, NULL);
    ca_a = issue("a", EC, 1, NULL), ca_b = issue("b", EC, 1, NULL), us = issue("us", EC, 0, NULL);
    of_a = issue("x", EC, 0, ca_a), of_b = issue("x", EC, 0, ca_b), of_backend = issue("x", EC, 0, backend);
    crt = pem(us, NULL), key = pem_key(us, NULL), ca = pem(ca_a, NULL), crl = pem_crl(ca_a, NULL);
    return server(crt, key, pem(backend, ca_a, NULL), NULL);
}

// The private half is the first part of an EC key, the public half, which stays, is the rest.
static char *damaged_key(const char *text) {
    char *copy = strdup(text), *line = strchr(copy, '\n') + 1;
    line[56] = line[56] == 'A' ? 'B' : 'A';
    return copy;
}

static unsigned bad_files(struct bad *table) {
    struct identity *new = issue("new", EC, 0, NULL), *weak = issue("weak", RSA512, 0, NULL);
    char *n = pem(new, NULL), *k = pem_key(new, NULL), *ab = pem(ca_a, ca_b, NULL), *many = strdup("");
    char *both = format("%s%s", crl, pem_crl(ca_b, NULL));
    // Some 70 kB of names, from certificates of one key.
    for (int i = 0; i < 300; i++) {
        char name[201];
        snprintf(name, sizeof name, "%03d%s", i, repeat("n", 61));
        struct identity *it = issue(name, SHARED, 1, ca_a);
        for (int j = 0; j < 3; j++)
            X509_NAME_add_entry_by_txt(X509_get_subject_name(it->crt), "OU", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
        X509_sign(it->crt, ca_a->key, EVP_sha256());
        char *more = format("%s%s", many, pem(it, NULL));
        free(many);
        many = more;
    }
    char *cut = strndup(ab, strlen(ab) - 40), *broken = strdup(ab);
    memset(strstr(broken + 100, "-----BEGIN") + 40, '!', 20);
    const struct bad all[] = {
        {"key of another certificate", n, key, ab, both, "tls.crt does not fit the key, or the settings of the program do not allow it (private key mismatch)"},
        {"empty certificate", "", k, ab, both, "tls.crt has no PEM block of its kind"},
        {"no certificate", NULL, k, ab, both, "tls.crt does not exist"},
        {"half a certificate", half(n), k, ab, both, "tls.crt is damaged"},
        {"text as certificate", "text\n", k, ab, both, "tls.crt has no PEM block"},
        {"bytes as certificate", "\x7f\xff\x01\n-----BEGIN CERTIFICATE-----\n\x80\n-----END CERTIFICATE-----\n", k, ab, both, "tls.crt is damaged"},
        {"half a chain", format("%s%s", n, half(ca)), k, ab, both, "tls.crt is damaged"},
        {"key as certificate", k, k, ab, both, "tls.crt has no PEM block"},
        {"huge certificate", format("%s%s", n, repeat("\n", 1 << 17)), k, ab, both, "tls.crt is too large"},
        {"empty key", n, "", ab, both, "tls.key has no private key"},
        {"no key", n, NULL, ab, both, "tls.key does not exist"},
        {"half a key", n, half(k), ab, both, "tls.key has no private key"},
        {"certificate as key", n, n, ab, both, "tls.key has no private key"},
        {"key with a passphrase", n, pem_key(new, "secret"), ab, both, "tls.key has no private key, or its passphrase is not known"},
        {"huge key", n, format("%s%s", k, repeat("\n", 1 << 17)), ab, both, "tls.key is too large"},
        {"key with a damaged half", n, damaged_key(k), ab, both, "tls.crt does not accept what the key signs"},
        {"weak key", pem(weak, NULL), pem_key(weak, NULL), ab, both, "do not allow it ("},
        {"empty CA file", n, k, "", both, "clients.crt has no PEM block"},
        {"no CA file", n, k, NULL, both, "clients.crt does not exist"},
        {"last CA cut", n, k, cut, both, "clients.crt is damaged"},
        {"one CA broken", n, k, broken, both, "clients.crt is damaged"},
        {"huge CA file", n, k, format("%s%s", ab, repeat("\n", 1 << 20)), both, "clients.crt is too large"},
        {"too many CA names", n, k, many, both, "clients.crt has more names of CAs than a handshake can carry"},
        {"empty CRL file", n, k, ab, "", "clients.crl has no PEM block"},
        {"no CRL file", n, k, ab, NULL, "clients.crl does not exist"},
        {"CA file as CRL file", n, k, ab, ab, "clients.crl has no PEM block"},
        {"half a CRL", n, k, ab, half(crl), "clients.crl is damaged"},
        {"second CRL broken", n, k, ab, format("%s%s", crl, half(crl)), "clients.crl is damaged"},
        {"huge CRL file", n, k, ab, format("%s%s", both, repeat("\n", 1 << 20)), "clients.crl is too large"},
    };
    memcpy(table, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void bad_files_leave_everything_as_it_was(void) {
    struct bad table[64];
    SSL_CTX *ctx = bad_start();
    unsigned count = bad_files(table);
    publish(volume, crt, key, ca, crl);
    EXPECT(dial(ctx, AS(of_a)).in && !dial(ctx, AS(of_b)).in);
    for (unsigned i = 0; i < count; i++) {
        int said = lines(table[i].said), all = lines("");
        publish(volume, table[i].crt, table[i].key, table[i].ca, table[i].crl);
        int kept = serves(ctx, "us") && dial(ctx, AS(of_a)).in && !dial(ctx, AS(of_b)).in && !dial(ctx, AS(of_backend)).in;
        int told = lines(table[i].said) == said + 1 && lines("") == all + 1 && lines("keeps the files that it has") == (int)i + 1;
        if (!kept || !told)
            printf("%s: kept %d, told %d\n", table[i].name, kept, told);
        EXPECT(kept && told);
    }
    // Back to the good ones, which the process holds, though their files are others now.
    publish(volume, crt, key, ca, crl);
    EXPECT(serves(ctx, "us") && lines("in use") == 1);
    EXPECT(lines("PRIVATE") == 0 && lines("BEGIN") == 0);
}

static void without_a_good_set_no_client_certificate_is_trusted(void) {
    struct bad table[64];
    SSL_CTX *ctx = bad_start();
    unsigned count = bad_files(table);
    for (unsigned i = 0; i < count; i++) {
        publish(volume, table[i].crt, table[i].key, table[i].ca, table[i].crl);
        pid_t child = fork(); // pgpool's children start without a set too.
        if (!child) {
            int all = lines("");
            EXPECT(serves(ctx, "us") && !dial(ctx, AS(of_a)).in && !dial(ctx, AS(of_b)).in && !dial(ctx, AS(of_backend)).in);
            EXPECT(!strcmp(dial(ctx, ANY).names, ""));
            EXPECT(lines("") == all + 1 && lines("trusts no client certificate") == (int)i + 1);
            publish(volume, crt, key, ca, crl);
            EXPECT(serves(ctx, "us") && dial(ctx, AS(of_a)).in && !dial(ctx, AS(of_backend)).in && !strcmp(dial(ctx, ANY).names, "a "));
            EXPECT(lines("") == all + 2);
            _exit(0);
        }
        int status;
        EXPECT(child > 0 && waitpid(child, &status, 0) == child);
        if (status)
            printf("%s\n", table[i].name);
        EXPECT(!status);
    }
}

static void what_is_no_file_is_refused_without_waiting(void) {
    SSL_CTX *ctx = bad_start();
    publish(volume, crt, key, ca, crl);
    EXPECT(serves(ctx, "us"));
    char *path = format("%s/..data/tls.crt", volume);
    unlink(path), mkfifo(path, 0600);
    EXPECT(serves(ctx, "us") && lines("tls.crt is not a file") == 1);
    unlink(path), mkdir(path, 0700);
    EXPECT(serves(ctx, "us") && lines("tls.crt is not a file") == 2);
    rmdir(path), EXPECT(symlink("/dev/zero", path) == 0);
    EXPECT(serves(ctx, "us") && lines("tls.crt is not a file") == 3);
    unlink(path), EXPECT(symlink("tls.crt", path) == 0);
    EXPECT(serves(ctx, "us") && lines("tls.crt does not exist") == 1);
    unlink(path), write_file(path, crt);
    EXPECT(serves(ctx, "us") && lines("in use") == 1);
    char *link = format("%s/..data", volume), *aside = format("%s/aside", volume);
    EXPECT(rename(link, aside) == 0);
    EXPECT(serves(ctx, "us") && dial(ctx, AS(of_a)).in && lines("the folder cannot be opened") == 1);
    EXPECT(rename(aside, link) == 0 && serves(ctx, "us") && lines("") == 7);
}

static void files_written_in_place_are_taken_when_they_fit(void) {
    prepare(PAIR);
    struct identity *old = issue("old", EC, 0, NULL), *new = issue("new", EC, 0, NULL);
    char *start = pem(old, NULL), *first = pem_key(old, NULL), *later = pem(new, NULL);
    publish(volume, start, first, NULL, NULL);
    SSL_CTX *ctx = server(start, first, NULL, NULL);
    EXPECT(serves(ctx, "old"));
    char *c = format("%s/..data/tls.crt", volume), *k = format("%s/..data/tls.key", volume);
    write_file(c, half(later));
    EXPECT(serves(ctx, "old"));
    write_file(c, later);
    EXPECT(serves(ctx, "old"));
    write_file(k, pem_key(new, NULL));
    EXPECT(serves(ctx, "new") && lines("not used") == 2 && lines("in use") == 1);
}

static int passphrase(char *into, int size, int writing, void *argument) {
    (void)writing;
    return snprintf(into, (size_t)size, "%s", (const char *)argument);
}

static void a_key_with_a_passphrase_uses_the_programs_own(void) {
    prepare(PAIR);
    struct identity *old = issue("old", EC, 0, NULL), *new = issue("new", EC, 0, NULL), *other = issue("other", RSA2048, 0, NULL);
    SSL_CTX *ctx = server(pem(old, NULL), pem_key(old, NULL), NULL, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)"correct");
    publish(volume, pem(new, NULL), pem_key(new, "correct"), NULL, NULL);
    EXPECT(serves(ctx, "new"));
    publish(volume, pem(other, NULL), pem_key(other, "another"), NULL, NULL);
    EXPECT(serves(ctx, "new") && lines("passphrase is not known") == 1 && lines("another") == 0);
}

static void what_passes_is_tried_again(void) {
    prepare(PAIR);
    struct identity *old = issue("old", EC, 0, NULL), *new = issue("new", EC, 0, NULL);
    SSL_CTX *ctx = server(pem(old, NULL), pem_key(old, NULL), NULL, NULL);
    char word[16] = "wrong";
    SSL_CTX_set_default_passwd_cb(ctx, passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, word);
    publish(volume, pem(new, NULL), pem_key(new, "correct"), NULL, NULL);
    EXPECT(serves(ctx, "old"));
    strcpy(word, "correct");
    for (int i = 0; i < 3000 && strcmp(dial(ctx, ANY).leaf, "new"); i++)
        usleep(1000);
    EXPECT(serves(ctx, "new") && lines("not used") == 1 && lines("in use") == 1);
}

static jmp_buf pgpool_error;
static int no_return(char *into, int size, int writing, void *argument) {
    (void)into, (void)size, (void)writing, (void)argument;
    longjmp(pgpool_error, 1);
}

static void a_passphrase_callback_that_does_not_return_ends_one_connection(void) {
    prepare(TRUST);
    struct identity *old = issue("old", EC, 0, NULL), *new = issue("new", EC, 0, NULL), *a = issue("a", EC, 1, NULL);
    struct identity *next = issue("next", EC, 0, NULL);
    SSL_CTX *ctx = server(pem(old, NULL), pem_key(old, NULL), pem(a, NULL), NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_return);
    volatile int ended = 0;
    publish(volume, pem(new, NULL), pem_key(new, "secret"), pem(a, NULL), NULL);
    if (!setjmp(pgpool_error))
        dial(ctx, ANY);
    else
        ended++;
    if (!setjmp(pgpool_error))
        EXPECT(serves(ctx, "old") && !dial(ctx, AS(issue("x", EC, 0, a))).in);
    else
        ended++;
    EXPECT(ended == 1);
    publish(volume, pem(next, NULL), pem_key(next, NULL), pem(a, NULL), NULL);
    EXPECT(serves(ctx, "next") && dial(ctx, AS(issue("x", EC, 0, a))).in);
}

static void the_programs_own_connections_are_left_alone(void) {
    prepare(ALL);
    // No files at all: as a server the program would say so.
    struct identity *peer = issue("peer", EC, 0, NULL), *a = issue("a", EC, 1, NULL), *mine = issue("mine", EC, 0, a);
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_use_certificate(ctx, mine->crt);
    SSL_CTX_use_PrivateKey(ctx, mine->key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), peer->crt);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX *remote = server(pem(peer, NULL), pem_key(peer, NULL), pem(a, NULL), NULL);
    SSL_CTX_set_cert_cb(remote, NULL, NULL); // Another process.
    SSL *left = SSL_new(ctx), *right = SSL_new(remote);
    BIO *near, *far;
    BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16);
    SSL_set_bio(left, near, near), SSL_set_bio(right, far, far);
    SSL_set_connect_state(left), SSL_set_accept_state(right);
    int l = 0, r = 0;
    for (int i = 0; i < 10 && (l != 1 || r != 1); i++)
        l = SSL_do_handshake(left), r = SSL_do_handshake(right);
    X509 *seen = SSL_get_peer_certificate(right);
    EXPECT(l == 1 && r == 1 && seen && !X509_cmp(seen, mine->crt) && lines("") == 1);
    X509_free(seen), SSL_free(left), SSL_free(right), SSL_CTX_free(ctx), SSL_CTX_free(remote);
}

static void two_generations_are_never_mixed(void) {
    prepare(TRUST);
    struct identity *root[2], *leaf[2], *client[2];
    char *file[2][3];
    for (int i = 0; i < 2; i++) {
        root[i] = issue(i ? "b" : "a", EC, 1, NULL), leaf[i] = issue(i ? "b" : "a", EC, 0, NULL), client[i] = issue("x", EC, 0, root[i]);
        file[i][0] = pem(leaf[i], NULL), file[i][1] = pem_key(leaf[i], NULL), file[i][2] = pem(root[i], NULL);
    }
    publish(volume, file[0][0], file[0][1], file[0][2], NULL);
    SSL_CTX *ctx = server(file[0][0], file[0][1], file[0][2], NULL);
    pid_t reader = getpid(), writer = fork();
    if (!writer) {
        for (unsigned i = 1; getppid() == reader; i++) {
            int g = i % 2;
            publish(volume, file[g][0], file[g][1], file[g][2], NULL);
            if (i % 3 == 0)
                usleep(300);
        }
        _exit(0);
    }
    EXPECT(writer > 0);
    int count = getenv("HANDSHAKES") ? atoi(getenv("HANDSHAKES")) : 1000, of[2] = {0};
    for (int i = 0; i < count; i++) {
        struct outcome it = dial(ctx, AS(client[i % 2]));
        int is_b = *it.leaf == 'b';
        of[is_b]++;
        if (getenv("VERBOSE"))
            printf("  %d: leaf %s, names %s, in %d\n", i, it.leaf, it.names, it.in);
        EXPECT((*it.leaf == 'a' || is_b) && !strcmp(it.names, is_b ? "b " : "a ") && it.in == (is_b == i % 2));
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    printf("  %d handshakes with a, %d with b\n", of[0], of[1]);
    EXPECT(of[0] && of[1] && lines("not used") == 0);
}

static long resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

static int descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void many_swaps_cost_no_memory_and_no_descriptor(void) {
    struct bad table[64];
    SSL_CTX *ctx = bad_start();
    unsigned bad = bad_files(table);
    int count = getenv("SWAPS") ? atoi(getenv("SWAPS")) : 200, fds = 0;
    long before = 0;
    struct identity *new = issue("new", EC, 0, NULL);
    char *n = pem(new, NULL), *k = pem_key(new, NULL);
    for (int i = 0; i < 2 * count; i++) {
        if (i == count)
            before = resident(), fds = descriptors();
        if (i % 4 == 3)
            publish(volume, table[i % bad].crt, table[i % bad].key, table[i % bad].ca, table[i % bad].crl);
        else
            publish(volume, i % 2 ? n : crt, i % 2 ? k : key, ca, crl);
        EXPECT(dial(ctx, AS(of_a)).in);
    }
    long grown = resident() - before;
    printf("  %d swaps: %ld kB more, %d descriptors more\n", count, grown, descriptors() - fds);
    // Sanitizers and valgrind hold back what is freed; they find leaks by other means.
    EXPECT(descriptors() == fds && (getenv("SKIP_MEMORY") || grown < 512));
}

static void wrong_settings_are_named_and_change_nothing(void) {
    const char *const table[][2] = {{"key = tls.key\n", "certificate"},
                                    {"certificate = tls.crt\n", "key"},
                                    {"certificate = ../tls.crt\nkey = tls.key\n", "certificate"},
                                    {"certificate = /etc/tls.crt\nkey = tls.key\n", "certificate"},
                                    {"certificate = tls.crt\nkey = a/b\n", "key"},
                                    {PAIR "directory = relative\n", "directory"},
                                    {PAIR "crl = clients.crl\n", "ca"},
                                    {TRUST "crl =\n", "crl"}};
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        free(volume);
        volume = format("%s/settings-%u", scratch, i);
        pid_t child = fork();
        if (!child) {
            prepare(table[i][0]);
            struct identity *start = issue("start", EC, 0, NULL), *a = issue("a", EC, 1, NULL), *other = issue("other", EC, 0, NULL);
            SSL_CTX *ctx = server(pem(start, NULL), pem_key(start, NULL), pem(a, NULL), NULL);
            publish(volume, pem(other, NULL), pem_key(other, NULL), NULL, NULL);
            char *said = format("not used: the setting \"%s\" is missing or wrong", table[i][1]);
            EXPECT(serves(ctx, "start") && dial(ctx, AS(issue("x", EC, 0, a))).in && lines(said) >= 1 && lines("ready") == 0);
            _exit(0);
        }
        int status;
        EXPECT(child > 0 && waitpid(child, &status, 0) == child);
        if (status)
            printf("setting: %s", table[i][0]);
        EXPECT(!status);
    }
}

static void errno_and_the_error_queue_are_left_alone(void) {
    SSL_CTX *ctx = bad_start();
    publish(volume, crt, "", ca, crl);
    errno = 0;
    struct outcome it = dial(ctx, ANY);
    EXPECT(it.in && ERR_peek_error() == 0 && lines("not used") == 1);
}

#define CASE(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {CASE(a_new_pair_is_served_at_the_next_handshake),
             CASE(a_chain_is_served_as_it_is_in_the_file),
             CASE(another_type_of_key_replaces_the_old_one),
             CASE(trust_for_clients_follows_the_file),
             CASE(revocation_follows_the_file),
             CASE(a_check_for_revocation_is_never_taken_away),
             CASE(bad_files_leave_everything_as_it_was),
             CASE(without_a_good_set_no_client_certificate_is_trusted),
             CASE(what_is_no_file_is_refused_without_waiting),
             CASE(files_written_in_place_are_taken_when_they_fit),
             CASE(a_key_with_a_passphrase_uses_the_programs_own),
             CASE(what_passes_is_tried_again),
             CASE(a_passphrase_callback_that_does_not_return_ends_one_connection),
             CASE(the_programs_own_connections_are_left_alone),
             CASE(two_generations_are_never_mixed),
             CASE(many_swaps_cost_no_memory_and_no_descriptor),
             CASE(wrong_settings_are_named_and_change_nothing),
             CASE(errno_and_the_error_queue_are_left_alone)};

int main(int count, char **words) {
    int failed = 0, ran = 0;
    char template[] = "/dev/shm/tls-reload-XXXXXX", other[] = "/tmp/tls-reload-XXXXXX";
    scratch = mkdtemp(template);
    if (!scratch)
        scratch = mkdtemp(other);
    setvbuf(stdout, NULL, _IOLBF, 0);
    EXPECT(scratch);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (count > 1 && strcmp(words[1], cases[i].name))
            continue;
        volume = format("%s/%u", scratch, i), log_path = format("%s/%u.log", scratch, i);
        pid_t child = fork();
        if (!child) {
            int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
            EXPECT(log >= 0);
            if (!getenv("KEEP_STDERR"))
                dup2(log, 2);
            alarm(getenv("SECONDS_PER_CASE") ? (unsigned)atoi(getenv("SECONDS_PER_CASE")) : 300);
            cases[i].run();
            exit(0); // With OpenSSL's end, which ends the module too.
        }
        int status;
        EXPECT(child > 0 && waitpid(child, &status, 0) == child);
        printf("%s %s\n", status ? "FAILED" : "passed", cases[i].name);
        if (status) {
            char *tail = format("tail -n 20 %s", log_path);
            if (WIFSIGNALED(status))
                printf("  ended by signal %d\n", WTERMSIG(status));
            EXPECT(system(tail) == 0);
        }
        failed += status != 0, ran++;
    }
    char *remove = format("rm -rf %s", scratch);
    EXPECT(system(remove) == 0);
    printf("%s: %d cases, %d failed\n", OpenSSL_version(OPENSSL_VERSION), ran, failed);
    return failed || !ran;
}
