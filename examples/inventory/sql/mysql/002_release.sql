-- Stock that was reserved and taken back, and by which message. No unique key on purpose: that each message is here once is the inbox's work.

create table if not exists stock_release (
  release_id  bigint       not null auto_increment primary key,
  order_id    char(36)     character set ascii collate ascii_bin not null,
  message_id  varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  quantity    int          not null,
  released_at datetime(6)  not null default (utc_timestamp(6))
) engine = InnoDB;
