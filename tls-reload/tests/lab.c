#define _GNU_SOURCE
#include "lab.h"
#include <dirent.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void expect(int truth, const char *what, const char *file, int line) {
    if (truth)
        return;
    printf("%s:%d: not true: %s\n", file, line, what);
    ERR_print_errors_fp(stdout);
    fflush(stdout);
    _exit(1);
}

char *format(const char *format, ...) {
    char *text;
    va_list arguments;
    va_start(arguments, format);
    EXPECT(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    return text;
}

static EVP_PKEY *new_key(enum kind kind) {
    EVP_PKEY *key = NULL;
    int type = kind == ED25519 ? EVP_PKEY_ED25519 : kind == EC ? EVP_PKEY_EC : EVP_PKEY_RSA;
    EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_id(type, NULL);
    EXPECT(making && EVP_PKEY_keygen_init(making) == 1);
    if (kind == EC)
        EXPECT(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(making, NID_X9_62_prime256v1) == 1);
    if (type == EVP_PKEY_RSA)
        EXPECT(EVP_PKEY_CTX_set_rsa_keygen_bits(making, kind == RSA2048 ? 2048 : 512) == 1);
    EXPECT(EVP_PKEY_keygen(making, &key) == 1);
    EVP_PKEY_CTX_free(making);
    return key;
}

static const EVP_MD *digest(const EVP_PKEY *key) { return EVP_PKEY_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256(); }

struct identity *issue(const char *name, enum kind kind, int is_ca, const struct identity *issuer) {
    static long serial = 1;
    struct identity *new = calloc(1, sizeof *new);
    EXPECT(new && (new->crt = X509_new()));
    new->key = kind == SHARED ? issuer->key : new_key(kind);
    new->issuer = issuer;
    X509_set_version(new->crt, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(new->crt), serial++);
    X509_gmtime_adj(X509_getm_notBefore(new->crt), -3600);
    X509_gmtime_adj(X509_getm_notAfter(new->crt), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(new->crt), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(new->crt, X509_get_subject_name((issuer ? issuer : new)->crt));
    X509_set_pubkey(new->crt, new->key);
    X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(new->crt, basic, -1);
    X509_EXTENSION_free(basic);
    EVP_PKEY *signer = (issuer ? issuer : new)->key;
    EXPECT(X509_sign(new->crt, signer, digest(signer)) > 0);
    return new;
}

static char *text_of(BIO *bio) {
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = calloc(1, (size_t)size + 1);
    EXPECT(text);
    memcpy(text, data, (size_t)size);
    BIO_free(bio);
    return text;
}

char *pem(const struct identity *first, ...) {
    BIO *bio = BIO_new(BIO_s_mem());
    va_list more;
    va_start(more, first);
    for (const struct identity *it = first; it; it = va_arg(more, const struct identity *))
        EXPECT(PEM_write_bio_X509(bio, it->crt) == 1);
    va_end(more);
    return text_of(bio);
}

char *pem_key(const struct identity *of, const char *passphrase) {
    BIO *bio = BIO_new(BIO_s_mem());
    EXPECT(PEM_write_bio_PrivateKey(bio, of->key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL, (void *)passphrase) == 1);
    return text_of(bio);
}

char *pem_crl(const struct identity *ca, const struct identity *revoked) {
    BIO *bio = BIO_new(BIO_s_mem());
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, 86400);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->crt));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->crt));
        X509_REVOKED_set_revocationDate(entry, now);
        X509_CRL_add0_revoked(crl, entry);
    }
    EXPECT(X509_CRL_sign(crl, ca->key, digest(ca->key)) > 0 && PEM_write_bio_X509_CRL(bio, crl) == 1);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    return text_of(bio);
}

void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void remove_folder(const char *path) {
    DIR *folder = opendir(path);
    for (struct dirent *it; folder && (it = readdir(folder));) {
        char *file = format("%s/%s", path, it->d_name);
        if (strcmp(it->d_name, ".") && strcmp(it->d_name, "..") && unlink(file))
            rmdir(file);
        free(file);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

void publish(const char *volume, const char *crt, const char *key, const char *ca, const char *crl) {
    static unsigned number;
    const char *const names[] = {"tls.crt", "tls.key", "clients.crt", "clients.crl"}, *const texts[] = {crt, key, ca, crl};
    char *folder = format("..%ld.%u", (long)getpid(), number++), *path = format("%s/%s", volume, folder);
    char *link = format("%s/..data", volume), *new_link = format("%s/..data_tmp", volume), before[256] = "";
    EXPECT(mkdir(path, 0700) == 0);
    for (int i = 0; i < 4; i++)
        if (texts[i]) {
            char *file = format("%s/%s", path, names[i]);
            write_file(file, texts[i]);
            free(file);
        }
    ssize_t size = readlink(link, before, sizeof before - 1);
    EXPECT(symlink(folder, new_link) == 0 && rename(new_link, link) == 0);
    if (size > 0) {
        char *earlier = format("%s/%s", volume, before);
        remove_folder(earlier);
        free(earlier);
    }
    free(folder), free(path), free(link), free(new_link);
}

void configure(const char *volume, const char *settings) {
    const char *module = getenv("MODULE");
    char *path = format("%s.cnf", volume);
    char *text = format("openssl_conf = init\nconfig_diagnostics = 0\n[init]\ntls_reload = tls_reload\n[tls_reload]\npath = %s\ndirectory = %s\n%s",
                        module, volume, settings);
    EXPECT(module && mkdir(volume, 0700) == 0);
    write_file(path, text);
    setenv("OPENSSL_CONF", path, 1);
    free(path), free(text);
}

static BIO *reader(const char *text) { return BIO_new_mem_buf(text, -1); }

SSL_CTX *server(const char *crt, const char *key, const char *ca, const char *crl) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    BIO *bio = reader(crt);
    X509 *it = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EXPECT(ctx && SSL_CTX_use_certificate(ctx, it) == 1);
    X509_free(it);
    while ((it = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        SSL_CTX_add0_chain_cert(ctx, it);
    ERR_clear_error();
    BIO_free(bio);
    bio = reader(key);
    EVP_PKEY *pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EXPECT(SSL_CTX_use_PrivateKey(ctx, pair) == 1);
    EVP_PKEY_free(pair);
    BIO_free(bio);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    if (ca) {
        STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
        bio = reader(ca);
        while ((it = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
            X509_STORE_add_cert(store, it);
            sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(it)));
            X509_free(it);
        }
        ERR_clear_error();
        BIO_free(bio);
        SSL_CTX_set_client_CA_list(ctx, names);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
    }
    if (crl) {
        X509_CRL *list;
        bio = reader(crl);
        while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
            X509_STORE_add_crl(store, list);
            X509_CRL_free(list);
        }
        ERR_clear_error();
        BIO_free(bio);
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    return ctx;
}

static void common_name(const X509_NAME *name, char *into, size_t size) {
    X509_NAME_get_text_by_NID((X509_NAME *)name, NID_commonName, into, (int)size);
}

// The client's own choice of a certificate, which shows the names that the server sent.
static int choose(SSL *ssl, void *argument) {
    struct outcome *outcome = argument;
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
    outcome->names[0] = 0;
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        char name[64] = "";
        common_name(sk_X509_NAME_value(names, i), name, sizeof name);
        if (strlen(outcome->names) + strlen(name) + 2 < sizeof outcome->names)
            strcat(strcat(outcome->names, name), " ");
    }
    return 1;
}

struct outcome dial(SSL_CTX *server, struct client client) {
    struct outcome outcome = {.names = "?"};
    BIO *near = NULL, *far = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    EXPECT(ctx && BIO_new_bio_pair(&near, 1 << 18, &far, 1 << 18) == 1);
    if (client.identity) {
        EXPECT(SSL_CTX_use_certificate(ctx, client.identity->crt) == 1 && SSL_CTX_use_PrivateKey(ctx, client.identity->key) == 1);
        if (client.identity->issuer && client.identity->issuer->issuer) {
            X509_up_ref(client.identity->issuer->crt);
            SSL_CTX_add0_chain_cert(ctx, client.identity->issuer->crt);
        }
    }
    if (client.version)
        SSL_CTX_set_max_proto_version(ctx, client.version);
    if (client.algorithms)
        EXPECT(SSL_CTX_set1_sigalgs_list(ctx, client.algorithms) == 1);
    SSL_CTX_set_cert_cb(ctx, choose, &outcome);
    SSL *left = SSL_new(ctx), *right = SSL_new(server);
    EXPECT(left && right);
    SSL_set_bio(left, near, near);
    SSL_set_bio(right, far, far);
    SSL_set_connect_state(left);
    SSL_set_accept_state(right);
    char data = 'x';
    for (int i = 0; i < 20 && !outcome.in; i++) {
        ERR_clear_error();
        int l = SSL_do_handshake(left), r = SSL_do_handshake(right);
        if ((l != 1 && SSL_get_error(left, l) != SSL_ERROR_WANT_READ) || (r != 1 && SSL_get_error(right, r) != SSL_ERROR_WANT_READ))
            break;
        outcome.in = l == 1 && r == 1 && SSL_write(right, &data, 1) == 1 && SSL_read(left, &data, 1) == 1;
    }
    X509 *leaf = SSL_get_peer_certificate(left);
    if (leaf)
        common_name(X509_get_subject_name(leaf), outcome.leaf, sizeof outcome.leaf);
    X509_free(leaf);
    outcome.chain = sk_X509_num(SSL_get_peer_cert_chain(left));
    SSL_free(left);
    SSL_free(right);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return outcome;
}
