/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "console.h"
#include "guest.h"

/* Where characters go: to the console in small pieces, or into a buffer until it is full. */
struct sink {
    char *buffer;
    size_t size, used, total;
    bool to_console;
    enum console_way way;
};

static void flush(struct sink *sink)
{
    console_write(sink->way, sink->buffer, sink->used);
    sink->used = 0;
}

static void put(struct sink *sink, char c)
{
    if (sink->to_console && c == '\n')      /* terminals want both */
        put(sink, '\r');
    if (sink->used == sink->size && sink->to_console)
        flush(sink);
    if (sink->used < sink->size)
        sink->buffer[sink->used++] = c;
    sink->total++;
}

struct spec {
    bool left, zero;
    int width, longs;
};

static void pad(struct sink *sink, char c, int count)
{
    while (count-- > 0)
        put(sink, c);
}

static void put_field(struct sink *sink, const struct spec *spec, const char *sign, const char *text, int length)
{
    int space = spec->width - length - (int)strlen(sign);

    if (!spec->left && !spec->zero)
        pad(sink, ' ', space);
    for (; *sign; sign++)
        put(sink, *sign);
    if (!spec->left && spec->zero)
        pad(sink, '0', space);
    for (int i = 0; i < length; i++)
        put(sink, text[i]);
    if (spec->left)
        pad(sink, ' ', space);
}

static void put_number(struct sink *sink, const struct spec *spec, const char *sign, uint64_t value,
                       unsigned int base, const char *digits)
{
    char text[24];
    int at = sizeof text;

    do
        text[--at] = digits[value % base];
    while (value /= base);
    put_field(sink, spec, sign, text + at, (int)sizeof text - at);
}

static uint64_t unsigned_argument(const struct spec *spec, va_list *args)
{
    if (spec->longs > 1)
        return va_arg(*args, unsigned long long);
    return spec->longs ? va_arg(*args, unsigned long) : va_arg(*args, unsigned int);
}

static int64_t signed_argument(const struct spec *spec, va_list *args)
{
    if (spec->longs > 1)
        return va_arg(*args, long long);
    return spec->longs ? va_arg(*args, long) : va_arg(*args, int);
}

static const char *read_spec(struct spec *spec, const char *at)
{
    *spec = (struct spec){ 0 };
    for (; *at == '-' || *at == '0'; at++)
        *(*at == '-' ? &spec->left : &spec->zero) = true;
    for (; *at >= '0' && *at <= '9'; at++)
        spec->width = 10 * spec->width + *at - '0';
    for (; *at == 'l' || *at == 'z'; at++)
        spec->longs++;
    return at;
}

static void put_conversion(struct sink *sink, const struct spec *spec, char kind, va_list *args)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    const char *text;
    int64_t value;
    char c;

    switch (kind) {
    case 'd':
    case 'i':
        value = signed_argument(spec, args);
        put_number(sink, spec, value < 0 ? "-" : "", value < 0 ? -(uint64_t)value : (uint64_t)value, 10, lower);
        break;
    case 'u':
        put_number(sink, spec, "", unsigned_argument(spec, args), 10, lower);
        break;
    case 'x':
    case 'X':
        put_number(sink, spec, "", unsigned_argument(spec, args), 16, kind == 'x' ? lower : upper);
        break;
    case 'p':
        put_number(sink, spec, "0x", (uintptr_t)va_arg(*args, void *), 16, lower);
        break;
    case 's':
        text = va_arg(*args, const char *);
        put_field(sink, spec, "", text ? text : "(null)", text ? (int)strlen(text) : 6);
        break;
    case 'c':
        c = (char)va_arg(*args, int);
        put_field(sink, spec, "", &c, 1);
        break;
    default:                                /* %% and unknown letters: as they are */
        put(sink, kind);
    }
}

static void format_to(struct sink *sink, const char *format, va_list *args)
{
    struct spec spec;

    for (; *format; format++) {
        if (*format != '%') {
            put(sink, *format);
            continue;
        }
        format = read_spec(&spec, format + 1);
        if (!*format)
            return;
        put_conversion(sink, &spec, *format, args);
    }
}

int vprintk(const char *format, va_list args)
{
    char piece[128];
    struct sink sink = { .buffer = piece, .size = sizeof piece, .to_console = true };
    va_list copy;

    va_copy(copy, args);
    sink.way = console_begin();
    format_to(&sink, format, &copy);
    flush(&sink);
    console_end(sink.way);
    va_end(copy);
    return (int)sink.total;
}

int printk(const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vprintk(format, args);
    va_end(args);
    return length;
}

/* As snprintf, but returns what was stored. */
int snprintk(char *buffer, size_t size, const char *format, ...)
{
    struct sink sink = { .buffer = buffer, .size = size ? size - 1 : 0 };
    va_list args;

    va_start(args, format);
    format_to(&sink, format, &args);
    va_end(args);
    if (size)
        buffer[sink.used] = 0;
    return (int)sink.used;
}
