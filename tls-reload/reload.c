// An OpenSSL configuration module: a TLS server that knows nothing of it takes changed certificate files at its next handshake.
//
// OpenSSL loads the module when a program first uses TLS, because the file that OPENSSL_CONF names lists it (config(5ssl)). The
// settings are in the module's own section of that file:
//
//   directory            a mounted Secret: the link `..data` in it names the folder with the current files
//   certificate, key     names of files in that folder; the certificate is followed by its chain
//   ca, crl              the same, if the program verifies clients: what it trusts for them, and what has been revoked
//
// The program's SSL_CTX is never changed. Each handshake as a server gets the key pair, trust store and CA names that this process
// holds. A process looks at the files before each handshake, and takes all of them from one folder or none: one bad file holds back
// the whole set, so that what is served and what is trusted were always written together. What runs keeps running: a set that cannot be
// used leaves the one that the process holds in place. As long as it holds none, it trusts no client certificate.
//
// Built without a library dependency, so that one file serves glibc and musl, and OpenSSL 1.1.1 to 3.6: all symbols come from the
// process. The file `symbols` lists them; each is in all of these. One process has one state without a lock: pgpool has no threads.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

// System calls go directly to the kernel: stat() is no symbol of a glibc before 2.33, and a declaration of musl's or glibc's <unistd.h>
// would not tell. On these two architectures both have the kernel's own struct stat.
long syscall(long number, ...);
#if defined(__x86_64__)
_Static_assert(sizeof(struct stat) == 144 && offsetof(struct stat, st_size) == 48 && offsetof(struct stat, st_ctim) == 104, "stat");
#elif defined(__aarch64__)
_Static_assert(sizeof(struct stat) == 128 && offsetof(struct stat, st_size) == 48 && offsetof(struct stat, st_ctim) == 104, "stat");
#else
#error "struct stat of this architecture has not been compared with the kernel's"
#endif

// A program with libcrypto and without libssl loads the module too, and must not fail for it.
#pragma weak SSL_CTX_get_cert_store
#pragma weak SSL_CTX_get_default_passwd_cb
#pragma weak SSL_CTX_get_default_passwd_cb_userdata
#pragma weak SSL_CTX_set_cert_cb
#pragma weak SSL_certs_clear
#pragma weak SSL_ctrl
#pragma weak SSL_dup_CA_list
#pragma weak SSL_free
#pragma weak SSL_get_SSL_CTX
#pragma weak SSL_is_server
#pragma weak SSL_new
#pragma weak SSL_set_client_CA_list
#pragma weak SSL_use_cert_and_key

enum { CERTIFICATE, KEY, CA, CRL, FILES };
static const char *const settings[FILES] = {"certificate", "key", "ca", "crl"};
// Bytes. A chain that needs more than 100 kB is refused by clients; a Secret has at most 1 MiB.
static const uint64_t limits[FILES] = {1 << 17, 1 << 17, 1 << 20, 1 << 20};
// Bytes. A list of CA names must fit into a field of 65,535 bytes that also has other things, or every handshake fails.
enum { NAMES_LIMIT = 60000, ATTEMPTS = 20 };

static char *current;      // DIRECTORY/..data
static char *names[FILES]; // NULL: not configured

// Tells one content of the files from another: device, inode, size, mode, and time of change of the folder (the first two) and each file.
struct stamps {
    uint64_t of[FILES + 1][6];
};
struct set {
    X509 *leaf; // NULL: there is no set
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    X509_STORE *trust;
    STACK_OF(X509_NAME) * ca_names;
    int crls;
    struct stamps stamps;
};
static struct set held;       // what each handshake gets
static struct stamps refused; // the last set that could not be used, if `told`
static int told;
static struct stamps tried; // the last set that was tried; it is tried again at `retry_at`, in seconds
static int64_t retry_at;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    BIO *out = BIO_new_fd(2, BIO_NOCLOSE);
    va_list arguments;
    va_start(arguments, format);
    if (out)
        BIO_vprintf(out, format, arguments);
    va_end(arguments);
    BIO_free(out);
}

static int64_t seconds(void) {
    struct timespec now = {0};
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

// Opens the current folder, or returns -1. What is missing has a stamp of zeros.
static int look(struct stamps *stamps) {
    struct stat it;
    memset(stamps, 0, sizeof *stamps);
    int folder = (int)syscall(SYS_openat, AT_FDCWD, current, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (folder < 0)
        return -1;
    if (!syscall(SYS_fstat, folder, &it))
        stamps->of[FILES][0] = it.st_dev, stamps->of[FILES][1] = it.st_ino;
    for (int i = 0; i < FILES; i++)
        if (names[i] && !syscall(SYS_newfstatat, folder, names[i], &it, 0)) {
            uint64_t *of = stamps->of[i];
            of[0] = it.st_dev, of[1] = it.st_ino, of[2] = (uint64_t)it.st_size, of[3] = it.st_mode;
            of[4] = (uint64_t)it.st_ctim.tv_sec, of[5] = (uint64_t)it.st_ctim.tv_nsec;
        }
    return folder;
}

static int same(const struct stamps *a, const struct stamps *b) { return !memcmp(a, b, sizeof *a); }

static void drop(struct set *set) {
    X509_free(set->leaf);
    sk_X509_pop_free(set->chain, X509_free);
    EVP_PKEY_free(set->key);
    X509_STORE_free(set->trust);
    sk_X509_NAME_pop_free(set->ca_names, X509_NAME_free);
    memset(set, 0, sizeof *set);
}

// Reads a file into memory that OpenSSL clears when it frees it.
static BIO *contents(int folder, int file) {
    char part[4096];
    long count = -1;
    uint64_t total = 0;
    // Not blocking, in case that the name is now that of a pipe.
    int fd = (int)syscall(SYS_openat, folder, names[file], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    BIO *text = fd < 0 ? NULL : BIO_new(BIO_s_mem());
    while (text && total <= limits[file] && (count = syscall(SYS_read, fd, part, sizeof part)) > 0)
        if (BIO_write(text, part, (int)count) == count)
            total += (uint64_t)count;
        else
            break;
    OPENSSL_cleanse(part, sizeof part);
    if (fd >= 0)
        syscall(SYS_close, fd);
    if (count == 0)
        return text;
    BIO_free(text);
    return NULL;
}

// Adds one certificate of `ca` to the store and its subject to the names, each once.
static int trust(struct set *set, X509 *ca) {
    X509_NAME *name = X509_get_subject_name(ca);
    if (X509_STORE_add_cert(set->trust, ca) != 1)
        return 0;
    for (int i = 0; i < sk_X509_NAME_num(set->ca_names); i++)
        if (!X509_NAME_cmp(sk_X509_NAME_value(set->ca_names, i), name))
            return 1;
    if (!(name = X509_NAME_dup(name)))
        return 0;
    if (sk_X509_NAME_push(set->ca_names, name))
        return 1;
    X509_NAME_free(name);
    return 0;
}

// Takes the PEM blocks of one file other than the key. Returns what is wrong, or NULL.
static const char *take(struct set *set, int file, BIO *text) {
    // Fails on a block that is damaged or not complete. The empty passphrase keeps it from asking for one.
    STACK_OF(X509_INFO) *blocks = PEM_X509_INFO_read_bio(text, NULL, NULL, (void *)"");
    int taken = 0, ok = blocks != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(blocks); i++) {
        X509_INFO *block = sk_X509_INFO_value(blocks, i);
        if (file == CRL && block->crl) {
            ok = X509_STORE_add_crl(set->trust, block->crl) == 1;
            set->crls++;
        } else if (file == CA && block->x509)
            ok = trust(set, block->x509);
        else if (file == CERTIFICATE && block->x509 && X509_up_ref(block->x509)) {
            if (!set->leaf)
                set->leaf = block->x509;
            else if (!sk_X509_push(set->chain, block->x509)) {
                X509_free(block->x509);
                ok = 0;
            }
        } else
            continue;
        taken++;
    }
    sk_X509_INFO_pop_free(blocks, X509_INFO_free);
    return !ok ? "is damaged" : !taken ? "has no PEM block of its kind" : NULL;
}

// A key of which only the private half is damaged seems to fit its certificate, but makes signatures that no client accepts.
static int signs(EVP_PKEY *key, X509 *leaf) {
    static const unsigned char text[] = "tls-reload";
    unsigned char signature[4096];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestSign(context, signature, &size, text, sizeof text) == 1 && EVP_MD_CTX_reset(context) == 1 &&
             EVP_DigestVerifyInit(context, NULL, NULL, NULL, X509_get0_pubkey(leaf)) == 1 &&
             EVP_DigestVerify(context, signature, size, text, sizeof text) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

// What no file shows by itself: whether they belong together, and whether this program can serve them.
static const char *fits(SSL_CTX *program, struct set *set, int *file) {
    *file = CERTIFICATE;
    SSL *trial = SSL_new(program);
    int ok = trial && SSL_use_cert_and_key(trial, set->leaf, set->key, set->chain, 1) == 1;
    SSL_free(trial);
    if (!ok)
        return "does not fit the key, or the settings of the program do not allow it";
    if (!signs(set->key, set->leaf))
        return "does not accept what the key signs";
    if (!names[*file = CA])
        return NULL;
    // What the program set for its own store, such as a depth, applies to this one.
    X509_VERIFY_PARAM *rules = X509_STORE_get0_param(SSL_CTX_get_cert_store(program));
    if (!names[CRL] && X509_VERIFY_PARAM_get_flags(rules) & X509_V_FLAG_CRL_CHECK)
        return "has no crl beside it, but the program checks for revoked certificates";
    if (X509_STORE_set1_param(set->trust, rules) != 1)
        return "cannot be used";
    // As pgpool does with its own: every CA of the chain needs a CRL.
    if (names[CRL] && X509_STORE_set_flags(set->trust, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1)
        return "cannot be used";
    int size = 0;
    for (int i = 0; i < sk_X509_NAME_num(set->ca_names); i++)
        size += 2 + i2d_X509_NAME(sk_X509_NAME_value(set->ca_names, i), NULL);
    return size > NAMES_LIMIT ? "has more names of CAs than a handshake can carry" : NULL;
}

// Takes the private key of this file.
static const char *take_key(SSL_CTX *program, struct set *set, BIO *text) {
    // The program's passphrase callback. Without one, the empty passphrase: OpenSSL's own would ask on a terminal.
    pem_password_cb *ask = SSL_CTX_get_default_passwd_cb(program);
    void *argument = ask ? SSL_CTX_get_default_passwd_cb_userdata(program) : (void *)"";
    set->key = PEM_read_bio_PrivateKey(text, NULL, ask, argument);
    return set->key ? NULL : "has no private key, or its passphrase is not known";
}

// Loads all files from one folder. Returns what is wrong, about `*file`, or NULL.
static const char *load(SSL_CTX *program, int folder, const struct stamps *stamps, struct set *set, int *file) {
    BIO *texts[FILES] = {0};
    const char *problem = NULL;
    // A chain that is empty, not NULL: otherwise OpenSSL would complete it from the program's own trust, which may be an old one.
    set->chain = sk_X509_new_null();
    set->trust = X509_STORE_new();
    set->ca_names = sk_X509_NAME_new_null();
    if (!set->chain || !set->trust || !set->ca_names)
        problem = "cannot be used for lack of memory";
    // All are read before the first is parsed, since the kubelet removes the folder once it has another.
    for (int i = 0; i < FILES && !problem; i++) {
        const uint64_t *stamp = stamps->of[*file = i];
        if (!names[i])
            continue;
        problem = !stamp[3]                ? "does not exist"
                  : !S_ISREG(stamp[3])     ? "is not a file"
                  : stamp[2] > limits[i] ? "is too large"
                  : !(texts[i] = contents(folder, i)) ? "cannot be read"
                                                      : NULL;
    }
    for (int i = 0; i < FILES && !problem; i++)
        if (names[*file = i])
            problem = i == KEY ? take_key(program, set, texts[i]) : take(set, i, texts[i]);
    for (int i = 0; i < FILES; i++)
        BIO_free(texts[i]);
    return problem ? problem : fits(program, set, file);
}

static void say_in_use(void) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    char hex[65] = "";
    unsigned int size = 0;
    X509_digest(held.leaf, EVP_sha256(), digest, &size);
    for (unsigned int i = 0; i < size && i < 32; i++)
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4], hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    say("tls-reload[%ld]: new files are in use: certificate %s, names of CAs: %d, CRLs: %d\n", syscall(SYS_getpid), hex,
        sk_X509_NAME_num(held.ca_names), held.crls);
}

static void say_refused(const char *file, const char *problem, const char *detail) {
    const char *then = held.leaf    ? "This process keeps the files that it has."
                       : names[CA]  ? "This process has no others: it serves the certificate of its start, and trusts no client certificate."
                                    : "This process has no others: it serves the certificate of its start.";
    say("tls-reload[%ld]: the files in %s are not used: %s %s%s%s%s. %s\n", syscall(SYS_getpid), current, file, problem,
        detail ? " (" : "", detail ? detail : "", detail ? ")" : "", then);
}

// Makes `held` the current files, if they are others and can be used.
static void refresh(SSL_CTX *program) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct stamps before, after;
        struct set set = {0};
        int file = CERTIFICATE, folder = look(&before);
        // A set that was refused is tried again, since a lack of memory or a passphrase program may have been the reason, but once a second.
        if ((held.leaf && same(&before, &held.stamps)) || (same(&before, &tried) && seconds() < retry_at)) {
            if (folder >= 0)
                syscall(SYS_close, folder);
            return;
        }
        // pgpool's passphrase callback does not return when its program fails, but ends the connection. The next ones must not end too.
        tried = before;
        retry_at = seconds() + 60;
        ERR_clear_error();
        const char *problem = folder < 0 ? "cannot be opened" : load(program, folder, &before, &set, &file);
        const char *detail = ERR_peek_last_error() ? ERR_reason_error_string(ERR_peek_last_error()) : NULL;
        ERR_clear_error();
        if (folder >= 0)
            syscall(SYS_close, folder);
        if ((folder = look(&after)) >= 0)
            syscall(SYS_close, folder);
        // Written in place meanwhile; or replaced, and removed before everything was read. What was read in time is of one folder.
        int replaced = memcmp(before.of[FILES], after.of[FILES], sizeof before.of[FILES]);
        retry_at = seconds() + 1;
        if (!same(&before, &after) && (problem || !replaced)) {
            drop(&set);
            continue;
        }
        if (!problem) {
            int first = !held.leaf && !told;
            drop(&held);
            held = set;
            held.stamps = before;
            told = 0;
            if (!first) // Each process of the program would say it.
                say_in_use();
            return;
        }
        drop(&set);
        if (!told || !same(&before, &refused))
            say_refused(before.of[FILES][1] ? names[file] : "the folder", problem, detail);
        told = 1;
        refused = before;
        return;
    }
}

// SSL_CTX_set_cert_cb(3ssl): 1 goes on with the handshake, 0 ends it.
static int handshake(SSL *ssl, void *unused) {
    (void)unused;
    if (!SSL_is_server(ssl)) // The program's own connections, such as pgpool's to PostgreSQL.
        return 1;
    int error = errno;
    refresh(SSL_get_SSL_CTX(ssl));
    errno = error;
    if (!held.leaf) {
        if (!names[CA])
            return 1;
        X509_STORE *nobody = X509_STORE_new();
        STACK_OF(X509_NAME) *none = sk_X509_NAME_new_null();
        if (!nobody || !none || SSL_set0_verify_cert_store(ssl, nobody) != 1) {
            X509_STORE_free(nobody);
            sk_X509_NAME_free(none);
            return 0;
        }
        SSL_set_client_CA_list(ssl, none);
        return 1;
    }
    // All key types: with another type than before, the program's old pair would still be offered.
    SSL_certs_clear(ssl);
    if (SSL_use_cert_and_key(ssl, held.leaf, held.key, held.chain, 1) != 1)
        return 0;
    if (!names[CA])
        return 1;
    STACK_OF(X509_NAME) *list = SSL_dup_CA_list(held.ca_names);
    if (!list)
        return 0;
    SSL_set_client_CA_list(ssl, list);
    return SSL_set1_verify_cert_store(ssl, held.trust) == 1;
}

// CRYPTO_get_ex_new_index(3ssl): called for each SSL_CTX that the program makes. The data is not used.
static void made(void *ctx, void *data, CRYPTO_EX_DATA *all, int index, long number, void *argument) {
    (void)data, (void)all, (void)index, (void)number, (void)argument;
    SSL_CTX_set_cert_cb(ctx, handshake, NULL);
}

static int is_name(const char *name) { return name && *name && *name != '.' && !strchr(name, '/'); }

// OpenSSL looks for OPENSSL_init and OPENSSL_finish (CONF_modules_load(3ssl)); its headers have another function of the first name.
#define EXPORT(name) __asm__(name) __attribute__((visibility("default")))
int start(CONF_IMODULE *module, const CONF *conf) EXPORT("OPENSSL_init");
void finish(CONF_IMODULE *module) EXPORT("OPENSSL_finish");

// Always succeeds: otherwise OpenSSL would skip the rest of the file.
int start(CONF_IMODULE *module, const CONF *conf) {
    const char *section = CONF_imodule_get_value(module), *wrong = NULL;
    if (current || !SSL_CTX_set_cert_cb) // Configured already, or a program without TLS.
        return 1;
    ERR_set_mark(); // A setting that is missing is an error there, not here.
    const char *directory = NCONF_get_string(conf, section, "directory");
    for (int i = 0; i < FILES; i++) {
        const char *value = NCONF_get_string(conf, section, settings[i]);
        names[i] = value ? OPENSSL_strdup(value) : NULL;
        if (value ? !is_name(names[i]) : i == CERTIFICATE || i == KEY)
            wrong = settings[i];
    }
    if (!directory || *directory != '/')
        wrong = "directory";
    if (names[CRL] && !names[CA])
        wrong = "ca";
    if (!wrong && CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, made, NULL, NULL) >= 0) {
        size_t size = strlen(directory) + sizeof "/..data";
        if ((current = OPENSSL_malloc(size)))
            BIO_snprintf(current, size, "%s/..data", directory);
    }
    ERR_pop_to_mark();
    if (current)
        say("tls-reload: ready: each handshake takes the files %s, %s%s%s%s%s of %s\n", names[CERTIFICATE], names[KEY],
            names[CA] ? ", " : "", names[CA] ? names[CA] : "", names[CRL] ? ", " : "", names[CRL] ? names[CRL] : "", current);
    else
        say("tls-reload: not used: the setting \"%s\" is missing or wrong\n", wrong ? wrong : "directory");
    return 1;
}

void finish(CONF_IMODULE *module) {
    (void)module;
    drop(&held);
}
